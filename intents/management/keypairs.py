"""ES384 key pairs for programs: the private half goes to a file, the public half to whom it concerns."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric import rsa as rsa_keys
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)


def make_key_pair(path: Path, *, rsa: bool = False) -> str:
    """Write a new private key (PKCS 8, readable by its owner only) and return the public half as PEM.

    On the curve P-384 (ES384), or with `rsa` of 3072 bits (RS384) for EHRs that take nothing else.
    Raises FileExistsError: a key is never overwritten.
    """
    key = (
        rsa_keys.generate_private_key(public_exponent=65537, key_size=3072)
        if rsa
        else ec.generate_private_key(ec.SECP384R1())
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as handle:
        path.chmod(0o600)
        handle.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
