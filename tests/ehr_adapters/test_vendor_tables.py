"""The adapters declare what the clinical model says their EHRs take, or the difference is explained."""

import pytest

from ehr_adapters import registry
from ehr_adapters.canonical.base import all_kinds, interactions
from ehr_adapters.capabilities import Capability, Finality
from tests.ehr_adapters.vendor_tables import DIFFERENCES, Row, expected

pytestmark = pytest.mark.once

LETTERS = {
    Finality.FILED: "F",
    Finality.FILED_UNSIGNED: "N",
    Finality.STAGED: "S",
    Finality.SENT_FOR_ACTION: "A",
}
VENDORS = [kind for kind in registry.all_kinds() if kind != "generic_r4"]


def row_of(capability: Capability | None) -> Row:
    if capability is None or not capability.supported:
        return ("none", "")
    return LETTERS[capability.finality], str(capability.retry)


@pytest.mark.parametrize("vendor", VENDORS)
def test_declares_its_table_and_every_difference_has_a_reason(vendor):
    declared = registry.declared_capabilities(vendor)
    unexplained = {}
    for kind in all_kinds():
        for interaction in interactions(kind):
            change = f"{kind} {interaction}"
            wanted, found = expected(vendor, change), row_of(declared.lookup(kind, interaction))
            if wanted[0] == "off":
                wanted = ("none", "")
            if wanted != found and (vendor, change) not in DIFFERENCES:
                unexplained[change] = (wanted, found)
    assert not unexplained


@pytest.mark.parametrize("vendor", VENDORS)
def test_says_why_for_everything_that_it_does_not_take(vendor):
    declared = registry.declared_capabilities(vendor)
    mute = [
        f"{kind} {interaction}"
        for kind in all_kinds()
        for interaction in interactions(kind)
        if not (capability := declared.lookup(kind, interaction))
        or (not capability.supported and not capability.sentence)
    ]
    assert mute == []


def test_no_difference_is_explained_that_is_none():
    for vendor, change in DIFFERENCES:
        kind, _, interaction = change.partition(" ")
        found = row_of(registry.declared_capabilities(vendor).lookup(kind, interaction))
        assert found != expected(vendor, change), (vendor, change)


def test_the_generic_server_takes_every_kind_and_interaction():
    declared = registry.declared_capabilities("generic_r4")
    missing = [
        f"{kind} {interaction}"
        for kind in all_kinds()
        for interaction in interactions(kind)
        if not declared.lookup(kind, interaction)
    ]
    assert missing == []
