"""What can be said to eClinicalWorks: capability rows, sentences for the rest, places of a copy card."""

from collections.abc import Iterator
from typing import Any

from ehr_adapters.canonical.base import Interaction, all_kinds, interactions, kind_label
from ehr_adapters.capabilities import (
    Acknowledgement,
    Capability,
    Finality,
    FindMethod,
    RetryClass,
    Transformation,
)

SOURCE_DATE = "2026-11-20"
GUIDE = "eClinicalWorks, Create APIs and Error Code Reference Guide 1.0"
# The first build whose documented interfaces take vital signs.
VITALS_BUILD = "12.0.3.04009405"
_CONFORMANCE = "eClinicalWorks, CapabilityStatement and SMART configuration"

PLACES = {
    "note": "Progress Notes of the visit",
    "note amend": "Progress Notes of the locked visit, Addendum",
    "problem": "Problem List of the patient, Add",
    "problem update": "Problem List: open the problem",
    "allergy": "Allergies of the patient, Add",
    "allergy update": "Allergies: open the allergy",
    "medication": "Current Medications of the patient, Add",
    "order": "Treatment section of the visit, Browse orders or medications",
    "vitals": "Vitals section of the visit",
    "result": "Labs of the patient, outside result",
    "result comment": "Labs of the patient: open the result, Notes",
    "task": "Actions, New Action",
    "message": "Messages, New Message to the patient's portal account",
    "appointment": "Resource Schedule, New Appointment",
    "care_plan": "Care Plan section of the visit",
    "questionnaire": "the form in the visit",
    "encounter": "Telephone Encounters or Web Encounters, New",
    "demographics": "Patient Information",
}

_DOES: dict[Interaction, str] = {
    Interaction.CREATE: "make",
    Interaction.UPDATE: "change",
    Interaction.AMEND: "add to",
    Interaction.ENTERED_IN_ERROR: "mark as entered in error",
    Interaction.DISCONTINUE: "stop",
    Interaction.RESOLVE: "resolve",
    Interaction.CANCEL: "cancel",
    Interaction.COMMENT: "comment on",
}
_WHY = {
    "result": "eClinicalWorks describes no interface that takes a laboratory's value from outside. Enter it in "
    "eClinicalWorks with the copy card.",
    "message": "In which direction a message to eClinicalWorks goes is not documented, so none is sent. Write it in "
    "eClinicalWorks with the copy card.",
    "appointment": "Appointments of eClinicalWorks go through a scheduling interface of its own, which the portal "
    "does not speak. Book in eClinicalWorks with the copy card.",
    "care_plan": "eClinicalWorks has no interface for care plans. Type it in eClinicalWorks with the copy card.",
}


def rows(settings: Any) -> Iterator[Capability]:
    """Every kind and interaction that the portal has: what is taken, and why the rest is not."""
    taken = {
        row.key: row
        for row in (
            *_notes(settings),
            *_staged(settings),
            *_sent(settings),
            *_filed(settings),
            *_visits_and_people(settings),
        )
        if row.kind in all_kinds()
    }
    for kind in all_kinds():
        for interaction in interactions(kind):
            yield taken.get((kind, str(interaction))) or _by_hand(kind, interaction)


def _by_hand(kind: str, interaction: Interaction) -> Capability:
    sentence = _WHY.get(kind) or (
        f"eClinicalWorks offers no way to {_DOES[interaction]} this from outside "
        f"({kind_label(kind).lower()}). Type it in eClinicalWorks with the copy card."
    )
    return Capability(
        kind=kind,
        interaction=str(interaction),
        supported=False,
        sentence=sentence,
        degrade=("copy_card",),
        source=_CONFORMANCE if kind in _WHY else GUIDE,
        source_date=SOURCE_DATE,
    )


def _bounds(settings: Any) -> dict[str, Any]:
    return {
        "acknowledgement": Acknowledgement.SUCCESS_FLAG,
        "processing_bound_seconds": settings.processing_bound_seconds,
        "index_lag_seconds": settings.index_lag_seconds,
        "repertoire": settings.repertoire,
        "source": GUIDE,
        "source_date": SOURCE_DATE,
    }


def _notes(settings: Any) -> Iterator[Capability]:
    read_back = bool(settings.notes_read_back_probed)
    yield Capability(
        kind="note",
        interaction="create",
        transport="FHIR transaction of one entry, HL7 v2 message",
        finality=Finality.FILED_UNSIGNED,
        find=FindMethod.SCAN if read_back else FindMethod.NONE,
        retry=RetryClass.S4,
        tag_places=("control id", "last line"),
        needs_encounter=True,
        read_back_by_id=read_back,
        not_carried=("/sections/*/code", "/attachments", "/patient_release", "/sensitivity"),
        length_caps=(("/sections", settings.notes_cap),),
        server_owned=("identifier", "category", "date", "custodian", "authenticator"),
        transformations=(
            Transformation(
                "content.attachment.plain_text",
                "line_ends",
                "Line ends and blanks at line ends may differ.",
            ),
            Transformation("type", "display", "eClinicalWorks writes its own words for the type."),
            Transformation(
                "context.period", "ignored", "eClinicalWorks fills the period from the visit."
            ),
        ),
        **_bounds(settings),
    )


def _staged(settings: Any) -> Iterator[Capability]:
    """What waits among the App Data of the patient until a user reconciles it.

    Whether the id of the answer is that of the entry in the chart is not documented: an entry that is not
    there proves nothing, as long as it waits.
    """
    common: dict[str, Any] = {
        "interaction": "create",
        "transport": "FHIR transaction of one entry",
        "finality": Finality.STAGED,
        "find": FindMethod.NONE,
        "retry": RetryClass.S4,
        "tag_places": ("identifier",),
        **_bounds(settings),
    }
    yield Capability(
        kind="problem",
        not_carried=("/severity", "/stage", "/encounter", "/sensitivity"),
        server_owned=("identifier", "recordedDate", "recorder", "asserter"),
        transformations=(_own_words("code"),),
        **common,
    )
    yield Capability(
        kind="allergy",
        not_carried=(
            "/category",
            "/type",
            "/reported_by",
            "/last_seen",
            "/note",
            "/sensitivity",
        ),
        server_owned=("identifier", "category", "type", "recordedDate", "recorder", "asserter"),
        set_on_acceptance=("verificationStatus",),
        transformations=(_own_words("code"),),
        **common,
    )
    yield Capability(
        kind="medication",
        not_carried=("/indication", "/taken", "/note", "/encounter", "/sensitivity"),
        server_owned=("identifier",),
        **common,
    )
    if _has_vitals(settings.build):
        yield Capability(
            kind="vitals",
            not_carried=(
                "/encounter",
                "/origin",
                "/readings/*/site",
                "/readings/*/method",
                "/note",
                "/sensitivity",
            ),
            server_owned=("identifier", "encounter", "issued", "performer"),
            transformations=(_own_words("code"),),
            **common,
        )
    else:
        yield Capability(
            kind="vitals",
            interaction="create",
            supported=False,
            sentence=f"This eClinicalWorks is of build {settings.build}; it takes vital signs from outside from build "
            f"{VITALS_BUILD} on.",
            source=GUIDE,
            source_date=SOURCE_DATE,
        )
    yield Capability(
        kind="order",
        not_carried=("/sensitivity",),
        server_owned=("identifier", "authoredOn"),
        set_on_acceptance=("status", "intent"),
        transformations=(_own_words("code"), _own_words("category")),
        **common | {"retry": RetryClass.S6},
    )


def _sent(settings: Any) -> Iterator[Capability]:
    """What somebody is to act on; nothing of it can be read again."""
    common: dict[str, Any] = {
        "interaction": "create",
        "transport": "FHIR transaction of one entry",
        "finality": Finality.SENT_FOR_ACTION,
        "find": FindMethod.NONE,
        "not_carried": ("/sensitivity",),
        "read_back_by_id": False,
        **_bounds(settings),
    }
    yield Capability(kind="task", retry=RetryClass.S4, tag_places=("identifier",), **common)
    if settings.messages_reach_patients:
        row = common | {"not_carried": ("/reply_allowed", "/sensitivity")}
        yield Capability(kind="message", retry=RetryClass.S6, **row)


def _filed(settings: Any) -> Iterator[Capability]:
    """What is in the chart at once. Nothing of the portal's is known to come back with it."""
    common: dict[str, Any] = {
        "interaction": "create",
        "finality": Finality.FILED,
        "find": FindMethod.MATCH,
        "retry": RetryClass.S4,
        "not_carried": ("/sensitivity",),
    }
    yield Capability(
        kind="questionnaire",
        transport="FHIR R4 create",
        server_owned=("identifier",),
        **common
        | _bounds(settings)
        | {"acknowledgement": Acknowledgement.ID_IN_LOCATION_OR_BODY, "source": _CONFORMANCE},
    )


def _visits_and_people(settings: Any) -> Iterator[Capability]:
    """Visits that were no meeting in the practice, and the patient's own record, which is changed whole."""
    bounds = _bounds(settings)
    yield Capability(
        kind="encounter",
        interaction="create",
        transport="FHIR transaction of one entry",
        finality=Finality.FILED,
        find=FindMethod.MATCH,
        retry=RetryClass.S4,
        not_carried=("/sensitivity",),
        server_owned=("identifier",),
        **bounds,
    )
    yield Capability(
        kind="demographics",
        interaction="update",
        transport="FHIR transaction of one entry",
        finality=Finality.FILED,
        find=FindMethod.TARGET,
        retry=RetryClass.S3,
        whole_resource=True,
        not_carried=("/sensitivity",),
        **bounds,
    )


def _own_words(path: str) -> Transformation:
    return Transformation(path, "display", "eClinicalWorks writes its own words for the code.")


def _has_vitals(build: str) -> bool:
    return _numbers(build) >= _numbers(VITALS_BUILD)


def _numbers(build: str) -> tuple[int, ...]:
    return tuple(int(part) for part in build.split("."))
