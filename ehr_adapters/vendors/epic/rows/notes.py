"""Notes are filed in Epic as unsigned drafts; nothing that is filed is changed from outside."""

from typing import Any

from ehr_adapters.capabilities import Capability, Finality, FindMethod, RetryClass, Transformation
from ehr_adapters.vendors.epic.rows.acts import bounds, by_hand

SOURCE = "Epic DocumentReference.Create (Clinical Notes), specification 1046"

PLACES = {
    "note": "Notes activity of the visit, New Note",
    "note amend": "Chart Review, Notes: open the signed note, Addendum",
    "note update": "Notes activity of the visit: open your unsigned note, Edit",
    "note entered-in-error": "Chart Review, Notes: open the note, Retract or Delete",
}


def rows(settings: Any) -> tuple[Capability, ...]:
    """The rows of notes."""
    return (
        Capability(
            kind="note",
            interaction="create",
            finality=Finality.FILED_UNSIGNED,
            find=FindMethod.SCAN,
            retry=RetryClass.S3 if settings.drafts_listed_probed else RetryClass.S4,
            tag_places=("last line",),
            needs_encounter=True,
            not_carried=(
                "/sections/*/code",
                "/attachments",
                "/patient_release",
                "/sensitivity",
            ),
            length_caps=(("/sections", settings.notes_cap),),
            server_owned=(
                "identifier",
                "category",
                "date",
                "custodian",
                "authenticator",
                "description",
            ),
            transformations=(
                Transformation(
                    "content.attachment.plain_text",
                    "line_ends",
                    "Line ends and blanks at line ends may differ.",
                ),
                Transformation("type", "display", "Epic writes its own words for the type."),
                Transformation(
                    "context.period", "ignored", "Epic fills the period from the visit."
                ),
                Transformation(
                    "author",
                    "ignored",
                    "Epic files a note without author under its own user.",
                ),
            ),
            source=SOURCE,
            **bounds(settings),
        ),
        *(
            by_hand("note", interaction, what, source=SOURCE)
            for interaction, what in (
                ("update", "change a note that is filed"),
                ("amend", "add an addendum to a signed note"),
                ("entered-in-error", "mark a note as entered in error"),
            )
        ),
    )
