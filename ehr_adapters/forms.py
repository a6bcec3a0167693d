"""Forms as bodies: fields in, the same bytes every time out, and the fields back. Pure.

For interfaces that take url-encoded or multipart forms (HTML 5, section "form submission"; RFC 7578).
"""

from collections.abc import Iterable
from urllib.parse import parse_qsl, urlencode

URL_ENCODED = "application/x-www-form-urlencoded"


class NotAForm(ValueError):
    """The bytes are no form of this kind; the reason never repeats content."""


def url_encoded(fields: Iterable[tuple[str, str]]) -> bytes:
    """The fields as application/x-www-form-urlencoded, in the order given, in UTF-8."""
    return urlencode(list(fields)).encode("ascii")


def read_url_encoded(body: bytes) -> list[tuple[str, str]]:
    """The fields of a url-encoded body. Raises `NotAForm`."""
    try:
        return parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:
        raise NotAForm("The body is no url-encoded form.") from None


def multipart(fields: Iterable[tuple[str, str]], *, boundary: str) -> bytes:
    """The fields as multipart/form-data, each as UTF-8 text whose line ends stay as they are.

    Raises `NotAForm` where a value holds the boundary, or a name more than letters, digits and "_".
    """
    parts = []
    for name, value in fields:
        if boundary in value or not name.isidentifier() or not name.isascii():
            raise NotAForm("The fields cannot stand in this form.")
        parts.append(
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="{name}"\r\n'
            "Content-Type: text/plain; charset=utf-8\r\n\r\n"
            f"{value}\r\n"
        )
    return "".join((*parts, f"--{boundary}--\r\n")).encode()


def multipart_type(boundary: str) -> str:
    """The Content-Type of a multipart form."""
    return f"multipart/form-data; boundary={boundary}"


def read_multipart(body: bytes, *, content_type: str) -> list[tuple[str, str]]:
    """The fields of what `multipart` wrote. Raises `NotAForm`."""
    kind, _, boundary = content_type.partition("; boundary=")
    if kind != "multipart/form-data" or not boundary:
        raise NotAForm("The body is no multipart form.")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise NotAForm("The body is not UTF-8.") from None
    opening, closing = f"--{boundary}\r\n", f"--{boundary}--\r\n"
    if not text.startswith(opening) or not text.endswith("\r\n" + closing):
        raise NotAForm("The body is no multipart form.")
    fields = []
    for part in text.removesuffix(closing).removeprefix(opening).split("\r\n" + opening):
        head, found, value = part.partition("\r\n\r\n")
        named = head.split('name="', 1)
        if not found or len(named) != 2:
            raise NotAForm("A part of the body has no name.")
        fields.append((named[1].partition('"')[0], value.removesuffix("\r\n")))
    return fields
