"""The note templates of this practice: pages of numbered fields. There is no free text outside of a field."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a template; `ordinal` is its number, unique in the practice."""

    ordinal: int
    name: str
    longest: int = 4000


@dataclass(frozen=True, slots=True)
class Page:
    index: int
    name: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """`loinc` is the document type under which the FHIR side shows such notes."""

    id: int
    name: str
    loinc: str
    words: str
    pages: tuple[Page, ...]

    def field(self, ordinal: str) -> tuple[Page, Field] | None:
        return next(
            (
                (page, each)
                for page in self.pages
                for each in page.fields
                if str(each.ordinal) == ordinal
            ),
            None,
        )


TEMPLATES = (
    Template(
        34, "Office Visit", "11506-3", "Progress note",
        (
            Page(1, "History", (
                Field(228101, "Presenting complaint"), Field(228102, "History"),
                Field(228103, "Past medical and family history"), Field(228104, "Medication and allergies"),
                Field(228105, "Social history"), Field(228106, "Subjective"),
                Field(228107, "Background"),
            )),
            Page(2, "Findings and plan", (
                Field(228111, "Examination and results"), Field(228112, "Objective"), Field(228113, "Assessment"),
                Field(228114, "Assessment and plan"), Field(228115, "Plan"),
            )),
        ),
    ),
    # A template with one page of one field: in JSON both lists collapse.
    Template(549, "Telephone Note", "34748-4", "Telephone encounter note", (Page(1, "Call", (Field(331201, "Call"),)),)),
)  # fmt: skip


def named(name: str) -> Template | None:
    return next((each for each in TEMPLATES if each.name == name), None)
