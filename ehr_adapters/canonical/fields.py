"""What a field says about itself: label, risk, owner, control, comparison, and the members of its value. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from ehr_adapters.canonical.types import Part


class Risk(StrEnum):
    LOW = "L"
    MEDIUM = "M"
    HIGH = "H"


class Owner(StrEnum):
    EHR = "E"
    PORTAL = "P"
    SHARED = "S"


class Control(StrEnum):
    """The control of the edit form."""

    CODE = "code"
    CODES = "codes"
    CHOICE = "choice"
    CHOICES = "choices"
    LINE = "line"
    TEXT = "text"
    DATE = "date"
    INSTANT = "instant"
    REFERENCE = "reference"
    REFERENCES = "references"
    SECTIONS = "sections"
    ATTACHMENTS = "attachments"
    RELEASE = "release"
    QUANTITY = "quantity"
    NUMBER = "number"
    YES_NO = "yes_no"
    PART = "part"
    PARTS = "parts"


class Comparison(StrEnum):
    """How two values of a field are compared."""

    EXACT = "exact"
    CODE = "code"
    CODE_SET = "code_set"
    TEXT = "text"
    DATE = "date"
    INSTANT = "instant"
    REFERENCE = "reference"
    SECTIONS = "sections"
    ATTACHMENTS = "attachments"
    QUANTITY = "quantity"
    PART = "part"
    LIST = "list"
    SET = "set"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """The declaration of one member of a structured field: a dose's unit, a reaction's severity.

    `words` says each choice for people; `systems` are the code systems it takes, the first one for a bare
    string; `options` the codes possible; `units` the UCUM codes possible; `or_range`: a quantity may be
    from one amount to another; `or_beyond`: it may lie beyond what could be measured ("<0.5"); `refers_to`
    the resource types of a reference, the first one for a bare id; `lead` words that stand before the value
    in a sentence.
    """

    label: str
    control: Control
    words: tuple[tuple[str, str], ...] = ()
    options: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    or_range: bool = False
    or_beyond: bool = False
    or_text: bool = False
    refers_to: tuple[str, ...] = ()
    max_length: int | None = None
    lead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartField(Column):
    """The one declaration of a field.

    `element` is the FHIR element that carries it ("" when none does); `part` the class of a structured
    field's value or of each of its entries, whose members are declared as columns; `filled_by_portal`:
    agents may leave it out; `portal_only`: never meant for the EHR; `absent_means`: the value that an
    absent field has for every reader.
    """

    risk: Risk
    owner: Owner
    compare: Comparison
    element: str = ""
    part: type[Part] | None = None
    filled_by_portal: bool = False
    portal_only: bool = False
    absent_means: str = ""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """A field as one interaction sees it, for forms, screens, policies and comparisons.

    `choices` are (value, words) pairs: all that may be chosen in this interaction.
    """

    kind: str
    name: str
    label: str
    risk: Risk
    owner: Owner
    control: Control
    compare: Comparison
    element: str
    required: bool
    removable: bool
    choices: tuple[tuple[str, str], ...]
    systems: tuple[str, ...]
    units: tuple[str, ...]
    or_range: bool
    or_beyond: bool
    or_text: bool
    refers_to: tuple[str, ...]
    columns: tuple[tuple[str, Column], ...]
    filled_by_portal: bool
    portal_only: bool
    absent_means: str
    max_length: int | None

    @property
    def pointer(self) -> str:
        return f"/{self.name}"
