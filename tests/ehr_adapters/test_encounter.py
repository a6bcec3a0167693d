"""A contact by telephone or over the web: opened from here, closed by a clinician in the EHR."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import (
    ChangeInvalid,
    fields,
    interactions,
    json_schema,
    parse_change,
    words,
)
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, Tag, comparable_differences
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import encounter
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["encounter", "create"]
TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")
TO = Destination(
    patient="Patient/pa-1", tag_system=TAG_SYSTEM, tag_value=TAG.uuid, tag_short=TAG.short
)


class TestWhatMayBeSaid:
    def test_its_class_is_called_class(self) -> None:
        assert fields("encounter")[0].name == "class"
        assert "class" in json_schema("encounter", "create")["properties"]
        assert words("encounter", "class", "telephone") == "by telephone"

    def test_a_visit_is_opened_and_never_closed(self) -> None:
        assert interactions("encounter") == ("create",)

    @pytest.mark.parametrize(
        ("content", "found"),
        [
            (NEW | {"status": "finished"}, ("/status", "not-in-this-interaction")),
            (NEW | {"class": "office"}, ("/class", "unknown-code")),
            (NEW | {"end": "2026-11-20T08:00:00-06:00"}, ("/end", "contradiction")),
            (NEW | {"status": "planned"}, ("/end", "contradiction")),
            ({k: v for k, v in NEW.items() if k != "class"}, ("/class", "missing")),
        ],
    )
    def test_that_it_does_not_hold_is_refused(
        self, content: dict[str, Any], found: tuple[str, str]
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("encounter", "create", content)
        assert [(i.pointer, i.code) for i in refused.value.issues] == [found]


class TestInFhir:
    @pytest.mark.parametrize("way", ["telephone", "web"])
    def test_is_valid_and_reads_back(self, way: str) -> None:
        change = parse_change("encounter", "create", NEW | {"class": way, "location": "lo-1"})
        form = to_fhir(change, TO)
        assert check(form.resource) == ()
        assert form.resource["class"]["code"] == "VR"
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert (read.content, read.uncarried) == (change.model_dump_canonical(), ())

    def test_a_visit_in_the_office_is_no_contact_of_these(self) -> None:
        read = from_fhir(encounter())
        assert "class" not in read.content
        assert {"class.system", "class.code"} <= {one.place for one in read.uncarried}

    def test_a_strangers_telephone_call_is_known(self) -> None:
        virtual = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR"}
        read = from_fhir(encounter(**{"class": virtual, "type": [{"text": "Telephone"}]}))
        assert read.content["class"] == "telephone"


class TestInThePracticeEhr:
    def test_is_opened_and_found(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        plan = stage.create("encounter", NEW)
        made = stage.send(plan)
        assert stage.held(plan) == [made]
        entry = stage.entry("encounter", made)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert made in [s.reference for s in stage.read("encounter").neighbours("encounter")]
