"""One result of validation. Codes and places, in sentences that repeat no clinical content. Pure."""

from dataclasses import dataclass
from enum import StrEnum

_LONGEST_SENTENCE = 500
_LONGEST_PLACE = 300


class Severity(StrEnum):
    """As in FHIR's OperationOutcome: an error refuses, a warning is shown, information is on demand."""

    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


# Doubts about whose chart this is: they come before every rule, whose facts may be another patient's.
IDENTITY_HOLDS = frozenset(
    {
        "patient-mismatch",
        "name-alike-unproven",
        "source-of-another-patient",
        "patient-merged",
        "patient-inactive",
        "encounter-of-another-patient",
        "target-of-another-patient",
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, how grave it is, and where.

    `expression` is an RFC 6901 pointer into the content, followed by `#start-end` for a span of a text
    (code points), or `source:<ref>#start-end` for a place in a source.
    """

    severity: Severity
    code: str
    diagnostics: str
    expression: str = ""
    needs_decision: bool = False
    holds: bool = False


def error(code: str, sentence: str, expression: str = "") -> Finding:
    """The draft cannot be taken as it is."""
    return _finding(Severity.ERROR, code, sentence, expression)


def hold(code: str, sentence: str, expression: str = "") -> Finding:
    """A person has to clear this before anything else is asked."""
    return _finding(Severity.WARNING, code, sentence, expression, holds=True)


def question(code: str, sentence: str, expression: str = "") -> Finding:
    """The reviewer has to answer this before approval."""
    return _finding(Severity.WARNING, code, sentence, expression, needs_decision=True)


def warning(code: str, sentence: str, expression: str = "") -> Finding:
    """The reviewer should see this."""
    return _finding(Severity.WARNING, code, sentence, expression)


def information(code: str, sentence: str, expression: str = "") -> Finding:
    """Worth a line, no more."""
    return _finding(Severity.INFORMATION, code, sentence, expression)


def _finding(
    severity: Severity,
    code: str,
    sentence: str,
    expression: str,
    *,
    needs_decision: bool = False,
    holds: bool = False,
) -> Finding:
    return Finding(
        severity=severity,
        code=code[:64],
        diagnostics=sentence[:_LONGEST_SENTENCE],
        expression=expression[:_LONGEST_PLACE],
        needs_decision=needs_decision,
        holds=holds,
    )
