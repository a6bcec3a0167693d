"""Notes: filed and not signed; the signature belongs into the EHR."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality, Transformation
from ehr_adapters.vendors.generic_r4.rows.acts import change, create

PLACES = {
    "note": "the patient's notes, in the visit",
    "note amend": "the signed note, as an addendum",
}

_TEXT_LINES = Transformation(
    "content.attachment.plain_text", "line_ends", "Line ends and blanks at line ends may differ."
)


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of notes."""
    note: dict[str, Any] = {
        "settings": settings,
        "not_carried": ("/sections/*/code", "/attachments", "/patient_release"),
        "length_caps": (("/sections", settings.notes_cap),),
        "transformations": (_TEXT_LINES,),
    }
    unsigned, both = Finality.FILED_UNSIGNED, ("identifier", "last line")
    return (
        create("note", finality=unsigned, tag_places=both, **note),
        create("note", "amend", finality=unsigned, tag_places=both, **note),
        change("note", "update", finality=unsigned, tag_places=("last line",), **note),
        change("note", "entered-in-error", finality=Finality.FILED, **note),
    )
