"""Bodies of the agent doors: read whole only when small enough, and as strict JSON only."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework.parsers import BaseParser, FormParser

from intents.api.errors import Problem
from intents.pipeline import intake

# A client assertion signed with RSA-4096 is under 2 KiB.
MAX_FORM_BYTES = 64 * 1024


class StrictJSONParser(BaseParser):
    """JSON in which no two readers see two documents; see `intake.strict_json`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return intake.read_json(self.read(stream, parser_context))

    def read(self, stream: IO[bytes], parser_context: Mapping[str, Any] | None) -> bytes:
        return read_bounded(
            stream, limit=settings.MAX_PROPOSAL_BYTES, declared=_declared_length(parser_context)
        )


class ProposalParser(StrictJSONParser):
    """The bytes of a proposal as they came: intake reads them, and takes their hash."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return self.read(stream, parser_context)


class SmallFormParser(FormParser):
    """A short form, as a sign-in sends it."""

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        raw = read_bounded(stream, limit=MAX_FORM_BYTES, declared=_declared_length(parser_context))
        return super().parse(BytesIO(raw), media_type, parser_context)


def read_bounded(stream: IO[bytes], *, limit: int, declared: str) -> bytes:
    """The body's bytes, or the problem `too-large` before more than the limit was read."""
    if declared.isdecimal() and int(declared) > limit:
        raise Problem("too-large")
    raw = stream.read(limit + 1)
    if len(raw) > limit:
        raise Problem("too-large")
    return raw


def _declared_length(parser_context: Mapping[str, Any] | None) -> str:
    request = (parser_context or {}).get("request")
    return str(request.META.get("CONTENT_LENGTH") or "") if request is not None else ""
