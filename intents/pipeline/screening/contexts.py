"""What of a chart has to be read beside the entries of a change's own kind, and whether that is still so."""

from collections.abc import Collection

from ehr_adapters.contract import Baseline
from intents.lifecycle import WRITTEN
from intents.models import Intent
from intents.pipeline.screening.drafts import own_tags

# The patient banner says which allergies are known; silence there would read as "none".
_ALWAYS = ("allergies",)
_FOR_MEDICINES = ("allergies", "medications", "problems", "results", "weights", "pregnancy")
_CONTEXTS = {
    "medication": _FOR_MEDICINES,
    "order": _FOR_MEDICINES,
    "vitals": ("allergies", "weights"),
}
# What may not have changed unseen between an approval and the sending of a medicine.
_DECISIVE = ("allergies", "medications")


def contexts_of(kind: str) -> tuple[str, ...]:
    """The contexts (`ReadRequest.context`) that page, facts and findings of a kind need."""
    return _CONTEXTS.get(kind, _ALWAYS)


def contexts_to_look_at_again(kind: str) -> tuple[str, ...]:
    """Those of them that a later look asks for, while a person waits: what else may have changed is read when
    the change is checked again."""
    asked = contexts_of(kind)
    return _DECISIVE if set(_DECISIVE) <= set(asked) else asked


def is_whole(kind: str, baseline: Baseline) -> bool:
    """Was everything looked for that checking such a change needs?"""
    looked_for = {*baseline.contexts, *(part.what for part in baseline.unreadable)}
    return set(contexts_of(kind)) <= looked_for


def unread_now(kind: str, *, then: Baseline, now: Baseline) -> bool:
    """Something that the change was checked against could be read then and cannot now."""
    return kind in _CONTEXTS and any(
        then.was_read(what) and not now.was_read(what) for what in _DECISIVE
    )


def changed_beside(intent: Intent, *, then: Baseline, now: Baseline) -> bool:
    """Were allergies or medicines of the chart changed by anybody but this very draft?"""
    kind = intent.change_kind
    if "medications" not in contexts_of(kind):
        return False
    tags, versions = _tags_of_draft(intent), _versions_of_draft(intent)
    for what in _DECISIVE:
        tagged = (*then.context(what), *now.context(what))
        ours = {one.reference for one in tagged if any(tag in tags for tag in one.tags)} | {
            one.reference
            for one in now.context(what)
            if (one.reference, one.version_id) in versions
        }
        if _entries(then, what, aside=ours) != _entries(now, what, aside=ours):
            return True
    return False


def _entries(
    baseline: Baseline, what: str, *, aside: Collection[str]
) -> frozenset[tuple[str, str]]:
    return frozenset(
        (one.reference, one.hash_whole)
        for one in baseline.context(what)
        if one.reference not in aside
    )


def _tags_of_draft(intent: Intent) -> frozenset[str]:
    """The tags of every change of the same draft: what they write is what was approved together."""
    siblings = Intent.objects.filter(proposal_id=intent.proposal_id)
    return frozenset().union(*(own_tags(each) for each in siblings))


def _versions_of_draft(intent: Intent) -> frozenset[tuple[str, str]]:
    """The entries as changes of the same draft left them, each with its version: a changed entry carries no
    tag, and in a later version somebody else has changed it as well."""
    return frozenset(
        Intent.objects.filter(proposal_id=intent.proposal_id, state__in=WRITTEN)
        .exclude(resource_version="")
        .values_list("resource_ref", "resource_version")
    )
