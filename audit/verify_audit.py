#!/usr/bin/env python3
"""Check an exported audit log without the product that wrote it.

    python3 verify_audit.py DIRECTORY [--keys FILE] [--witness FILE]

Needs Python 3.10 or later and nothing else. Read it: it is one file, and it shares no code with the
product. It was written from the public specifications: RFC 6962 section 2.1 (Merkle tree), RFC 8032
section 5.1 (Ed25519), C2SP signed-note, tlog-checkpoint and tlog-cosignature.

What it checks, for each log of the export:
  * leaves are numbered without a gap, and each has the hash that its text gives;
  * a leaf belongs to this log, no event occurs twice, and names shown beside leaves are theirs;
  * every checkpoint carries both signatures of one known key, and its root is that of the leaves;
  * the last leaf lies under a checkpoint, and no checkpoint or witnessed head speaks of more leaves;
  * every disclosed body opens the commitment in its leaf;
  * every submission follows an approval of the same change, over the same bytes, which was under a
    signed checkpoint before it and had not been taken back.

What it cannot know: whether the keys in the export are the right ones. Compare the fingerprints that
it prints with those you were given, or hand it your own list with --keys. An export that stops early
is consistent in itself: give it your own copy of witnessed checkpoints with --witness.

Exit status: 0 everything holds, 1 something is broken (named on standard output), 2 cannot be read.
"""

import argparse
import base64
import hashlib
import hmac
import json
import sys
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

FORMAT = "reviewportal-audit-1"

APPROVED = {"intent:review:approved", "intent:review:seconded", "intent:policy:approved"}
APPROVAL_ENDED = {
    "intent:review:edited",
    "intent:review:undone",
    "intent:review:released",
    "intent:review:rejected",
    "intent:review:recalled",
    "intent:baseline:moved",
    "intent:lifecycle:withdrawn",
    "intent:lifecycle:expired",
    "intent:approval:expired",
    "intent:lifecycle:superseded",
    "intent:lifecycle:cancelled",
}
SUBMITTED = "intent:write:submitted"


class Broken(Exception):
    """Something does not hold. The text says what and where."""


class Unreadable(Exception):
    """The export cannot be read at all."""


# --- Ed25519, RFC 8032 section 5.1 -----------------------------------------------------------------

# A point is (X, Y, Z, T) with x = X/Z, y = Y/Z and x*y = T/Z (section 5.1.4).
Point = tuple[int, int, int, int]
# A tree head is (leaves, root).
Head = tuple[int, bytes]

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def x_of(y: int, sign: int) -> int | None:
    """The x coordinate with this parity for y (section 5.1.3), or None when there is no such point."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = x_of(BASE_Y, 0) or 0
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def add(p: Point, q: Point) -> Point:
    """Sum of two points in extended coordinates (section 5.1.4)."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(number: int, point: Point) -> Point:
    """The multiple of a point."""
    total = NEUTRAL
    while number:
        if number & 1:
            total = add(total, point)
        point = add(point, point)
        number >>= 1
    return total


def point_of(data: bytes) -> Point | None:
    """The point that 32 bytes encode, or None."""
    number = int.from_bytes(data, "little")
    sign, y = number >> 255, number & (2**255 - 1)
    x = x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def same(p: Point, q: Point) -> bool:
    """Are two points in extended coordinates the same one?"""
    return not (p[0] * q[2] - q[0] * p[2]) % P and not (p[1] * q[2] - q[1] * p[2]) % P


def signature_holds(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Section 5.1.7, with the equation that is not multiplied by the cofactor."""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    key, commitment = point_of(public_key), point_of(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or commitment is None or scalar >= ORDER:
        return False
    digest = hashlib.sha512(signature[:32] + public_key + message).digest()
    challenge = int.from_bytes(digest, "little") % ORDER
    return same(times(scalar, BASE), add(commitment, times(challenge, key)))


# --- the tree, RFC 6962 section 2.1 ----------------------------------------------------------------


def leaf_hash(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows at the right: pairs (leaves in the subtree, its root), largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.subtrees: list[tuple[int, bytes]] = []

    def append(self, leaf: bytes) -> None:
        self.size += 1
        count, digest = 1, leaf
        while self.subtrees and self.subtrees[-1][0] == count:
            _, left = self.subtrees.pop()
            count, digest = 2 * count, node_hash(left, digest)
        self.subtrees.append((count, digest))

    def root(self) -> bytes:
        if not self.subtrees:
            return hashlib.sha256(b"").digest()
        digest = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            digest = node_hash(left, digest)
        return digest


# --- checkpoints, C2SP -----------------------------------------------------------------------------


def key_number(name: str, kind: int, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:4]


def read_checkpoint(
    note: str, origin: str, public_keys: list[bytes], remembered: dict[str, Head]
) -> Head:
    """(size, root) of a signed checkpoint of this origin. Raises Broken."""
    if note in remembered:
        return remembered[note]
    text, gap, lines = note.rpartition("\n\n")
    fields = text.split("\n")
    if not gap or len(fields) != 3:
        raise Broken("a checkpoint is not a signed note of three lines")
    text += "\n"
    if fields[0] != origin:
        raise Broken("a checkpoint belongs to another log")
    size, root = int(fields[1]), base64.b64decode(fields[2])
    made: dict[bytes, bytes] = {}
    for line in lines.split("\n"):
        if line.startswith("\u2014 " + origin + " "):
            signature = base64.b64decode(line.rpartition(" ")[2])
            made[signature[:4]] = signature[4:]
    for public_key in public_keys:
        plain = made.get(key_number(origin, 1, public_key))
        timed = made.get(key_number(origin, 4, public_key))
        if plain is None or timed is None:
            continue
        seconds = int.from_bytes(timed[:8], "big")
        cosigned = f"cosignature/v1\ntime {seconds}\n{text}".encode()
        if signature_holds(public_key, text.encode(), plain) and signature_holds(
            public_key, cosigned, timed[8:]
        ):
            remembered[note] = size, root
            return size, root
        raise Broken(f"the signature of the checkpoint over {size} leaves does not hold")
    raise Broken(f"no known key signed the checkpoint over {size} leaves")


# --- one log -----------------------------------------------------------------------------------------


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one a line, without holding the file in memory."""
    try:
        with path.open(encoding="utf-8") as handle:
            for line in handle:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}") from None


def check_leaf(
    entry: dict[str, Any], expected: int, name: str, seen: set[str]
) -> tuple[bytes, dict[str, Any] | None]:
    """The leaf's hash, and its content when it was disclosed. Raises Broken."""
    if entry["index"] != expected:
        raise Broken(
            "leaf {} is missing: leaf {} stands in its place".format(expected, entry["index"])
        )
    if entry.get("leaf") is None:
        return bytes.fromhex(entry["leaf_hash"]), None
    text = entry["leaf"]
    digest = leaf_hash(text.encode())
    if digest.hex() != entry["leaf_hash"]:
        raise Broken(f"the event of leaf {expected} no longer has its recorded hash")
    leaf = json.loads(text)
    if leaf["log"] != name:
        raise Broken(f"leaf {expected} belongs to another log")
    if leaf["event"] in seen:
        raise Broken(f"the event of leaf {expected} occurs twice")
    seen.add(leaf["event"])
    shown = hashlib.sha256(entry["actor_name"].encode()).hexdigest()
    if shown != leaf["actor"]["name_sha256"]:
        raise Broken(f"the name shown beside leaf {expected} is not the recorded one")
    if entry.get("body") is not None:
        opened = hmac.new(bytes.fromhex(entry["body_key"]), entry["body"].encode(), "sha256")
        if not hmac.compare_digest(opened.hexdigest(), leaf["body"]):
            raise Broken(f"the body of leaf {expected} is not the one it commits to")
    return digest, leaf


class Sends:
    """Every submission needs an approval that was under a checkpoint before it."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self.sizes = sorted(sizes)
        self.approved: dict[str, list[tuple[int, str]]] = {}
        self.checked = 0

    def sealed_before(self, approval: int, submission: int) -> bool:
        place = bisect_right(self.sizes, approval)
        return place < len(self.sizes) and self.sizes[place] <= submission

    def step(self, index: int, leaf: dict[str, Any], body: str | None) -> None:
        tag, intent = leaf["tag"], leaf["intent"]
        payload = (json.loads(body) if body else {}).get("payload_hash", "")
        if tag in APPROVED:
            self.approved.setdefault(intent, []).append((index, payload))
        elif tag in APPROVAL_ENDED:
            self.approved.pop(intent, None)
        elif tag == SUBMITTED:
            self.checked += 1
            given = self.approved.get(intent, [])
            over = [at for at, of in given if not (of and payload) or of == payload]
            if not any(self.sealed_before(at, index) for at in over):
                raise Broken(
                    f"leaf {index} records that a change was sent without an approval over the same bytes "
                    "under an earlier checkpoint"
                )


def check_log(
    directory: Path,
    name: str,
    origin: str,
    public_keys: list[bytes],
    extra_witness: list[dict[str, Any]],
    all_leaves: bool,
) -> dict[str, int]:
    """Check one log; returns figures for the report. Raises Broken at the first thing that does not hold."""
    remembered: dict[str, Head] = {}
    checkpoints = sorted(
        read_checkpoint(entry["note"], origin, public_keys, remembered)
        for entry in lines_of(directory / "checkpoints.jsonl")
    )
    witnessed = [
        read_checkpoint(entry["note"], origin, public_keys, remembered)
        for entry in [*lines_of(directory / "witness.jsonl"), *extra_witness]
    ]
    claims: dict[int, bytes] = {}
    for size, root in checkpoints + witnessed:
        if claims.setdefault(size, root) != root:
            raise Broken(f"two different roots were signed over {size} leaves")
    tree, sends = Tree(), Sends(size for size, _ in checkpoints)
    seen: set[str] = set()
    disclosed = bodies = proved = 0
    if claims.get(0, tree.root()) != tree.root():
        raise Broken("a checkpoint over no leaves has a root of something")
    for entry in lines_of(directory / "events.jsonl"):
        digest, leaf = check_leaf(entry, tree.size, name, seen)
        tree.append(digest)
        if tree.size in claims:
            if claims[tree.size] != tree.root():
                raise Broken(
                    f"leaves {proved} to {tree.size - 1} do not give the root that was signed: changed, exchanged, "
                    "inserted or left out"
                )
            proved = tree.size
        if leaf is None and all_leaves:
            raise Broken(f"the event of leaf {entry['index']} has been removed")
        if leaf is not None:
            disclosed += 1
            bodies += entry.get("body") is not None
            sends.step(entry["index"], leaf, entry.get("body"))
    largest = max(claims, default=0)
    if largest > tree.size:
        raise Broken(
            f"a checkpoint over {largest} leaves exists and the log ends at {tree.size}: leaf {tree.size} and what followed "
            "it were cut off"
        )
    covered = max((size for size, _ in checkpoints), default=0)
    if covered < tree.size:
        raise Broken(f"leaf {covered} and what follows it lie under no signed checkpoint")
    return {
        "leaves": tree.size,
        "disclosed": disclosed,
        "bodies": bodies,
        "checkpoints": len(checkpoints),
        "witnessed": len(witnessed),
        "sends": sends.checked,
    }


# --- the whole export ----------------------------------------------------------------------------------


def check(
    directory: Path,
    keys_file: Path | None = None,
    witness_file: Path | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Check an export and say what was found. Returns True when everything holds."""
    try:
        manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
        keys = manifest["public_keys"]
        if keys_file:
            keys = keys_file.read_text(encoding="utf-8").split()
        public_keys = [base64.b64decode(key) for key in keys]
    except (OSError, ValueError, KeyError) as error:
        raise Unreadable(f"{directory}: {error}") from None
    if manifest.get("format") != FORMAT:
        raise Unreadable(f"the export is not of the format {FORMAT}")
    mine = list(lines_of(witness_file)) if witness_file else []
    for key in public_keys:
        say(
            "key {}{}".format(
                hashlib.sha256(key).hexdigest(), "" if keys_file else " (from the export)"
            )
        )
    names = [log["log"] for log in manifest["logs"]]
    holds = True
    for log in manifest["logs"]:
        own = [entry for entry in mine if entry.get("log") == log["log"]]
        place = directory / log["folder"]
        try:
            figures = check_log(
                place, log["log"], log["origin"], public_keys, own, manifest["all_leaves"]
            )
        except Broken as broken:
            holds = False
            say("BROKEN  log {}: {}".format(log["log"], broken))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            holds = False
            say(
                "BROKEN  log {}: an entry is not in the form of the export ({!r})".format(
                    log["log"], error
                )
            )
        else:
            say(
                "holds   log {}: {leaves} leaves ({disclosed} disclosed, {bodies} with body), "
                "{checkpoints} checkpoints, {witnessed} witnessed, {sends} sends".format(
                    log["log"], **figures
                )
            )
    for name in sorted({str(entry.get("log")) for entry in mine} - set(names)):
        if manifest["all_logs"]:
            holds = False
            say(f"BROKEN  log {name}: it was witnessed and is not in the export")
    say("everything holds" if holds else "something is broken")
    return holds


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check an exported audit log.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--keys", type=Path, help="public keys you trust, one a line in base64")
    parser.add_argument(
        "--witness",
        type=Path,
        help="your own copy of witnessed checkpoints, one JSON object a line",
    )
    chosen = parser.parse_args(arguments)
    try:
        return 0 if check(chosen.directory, chosen.keys, chosen.witness) else 1
    except Unreadable as unreadable:
        sys.stdout.write(f"cannot be read: {unreadable}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
