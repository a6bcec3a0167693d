"""A patient's own data: contact data change, and nothing of the Patient is ever lost."""

import json
from typing import Any

import pytest

from ehr_adapters.canonical.base import ChangeInvalid, changed_fields, parse_change
from ehr_adapters.canonical.exact_json import dumps, loads
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.contract import TAG_SYSTEM, ReadRequest, Tag, comparable_differences
from ehr_adapters.errors import CannotBeCarried, Unsupported, VersionConflict
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import patient
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["demographics", "create"]
TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")


def held(**more: Any) -> dict[str, Any]:
    """A patient of whom an EHR knows much."""
    return (
        patient(
            extension=[{"url": "urn:race", "valueDecimal": 1.50}],
            active=True,
            name=[
                {
                    "use": "official",
                    "family": "Okonkwo",
                    "given": ["Ngozi", "Ada"],
                    "prefix": ["Ms"],
                },
                {"use": "maiden", "family": "Eze", "given": ["Ngozi"]},
                {"use": "nickname", "given": ["Go"]},
            ],
            telecom=[
                {"system": "phone", "value": "555-0101", "use": "home", "rank": 2},
                {"system": "phone", "value": "555-0000", "use": "old"},
                {"system": "fax", "value": "555-0102"},
                {"system": "email", "value": "old@clinic.example", "rank": 1},
                {"system": "email", "value": "second@clinic.example"},
            ],
            address=[
                {"use": "billing", "line": ["PO Box 1"]},
                {"use": "home", "line": ["1 Mill Lane"], "city": "Northgate", "district": "East"},
            ],
            communication=[
                {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}},
                {
                    "language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "ig"}]},
                    "preferred": True,
                },
            ],
            contact=[
                {
                    "relationship": [
                        {"coding": [{"system": "urn:r", "code": "FTH", "display": "father"}]}
                    ],
                    "name": {"text": "Tunde Adeye"},
                    "address": {"city": "Northgate"},
                }
            ],
            generalPractitioner=[{"reference": "Practitioner/pr-1"}],
            link=[{"type": "seealso", "other": {"reference": "Patient/pa-7"}}],
        )
        | more
    )


def updated(content: dict[str, Any], before: dict[str, Any]) -> Any:
    change = parse_change("demographics", "update", content)
    return to_fhir(
        change,
        Destination(
            patient="Patient/pa-1",
            tag_system=TAG_SYSTEM,
            tag_value=TAG.uuid,
            tag_short=TAG.short,
            current=before,
        ),
    )


class TestWhatMayBeSaid:
    @pytest.mark.parametrize(
        ("content", "found"),
        [
            ({}, ("", "empty")),
            ({"email": "nobody"}, ("/email", "bad-email")),
            ({"phone": [{"number": "call me"}]}, ("/phone/0/number", "bad-number")),
            (
                {"phone": [{"number": "5550101"}, {"number": "5550101"}]},
                ("/phone/1/number", "duplicate"),
            ),
            ({"phone": [{"number": "5550101", "use": "pager"}]}, ("/phone/0/use", "unknown-code")),
            ({"address": {}}, ("/address", "empty")),
            ({"family": None}, ("/family", "missing")),
            ({"identifiers": None}, ("/identifiers", "missing")),
            ({"birth_date": "14.3.1957"}, ("/birth_date", "bad-date")),
            ({"language": "English, please"}, ("/language", "bad-language")),
        ],
    )
    def test_that_it_does_not_hold_is_refused(
        self, content: dict[str, Any], found: tuple[str, str]
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("demographics", "update", content)
        assert [(i.pointer, i.code) for i in refused.value.issues] == [found]

    def test_the_rules_name_the_same_fields(self) -> None:
        from pathlib import Path

        from ehr_adapters.canonical.base import fields

        rules = Path("intents/governance/starter.cedar").read_text()
        for name in (s.name for s in fields("demographics") if s.name != "sensitivity"):
            assert f'"{name}"' in rules, name


class TestInFhir:
    def test_a_new_patient_is_valid_and_reads_back(self) -> None:
        change = parse_change("demographics", "create", NEW)
        form = to_fhir(
            change,
            Destination(patient="", tag_system=TAG_SYSTEM, tag_value=TAG.uuid, tag_short=TAG.short),
        )
        assert check(form.resource) == ()
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        assert (read.content, read.uncarried) == (change.model_dump_canonical(), ())

    def test_everything_is_read_and_the_rest_is_listed(self) -> None:
        read = from_fhir(held(), tag_system=TAG_SYSTEM)
        assert read.content == {
            "family": "Okonkwo",
            "given": "Ngozi Ada",
            "birth_date": "1957-03-14",
            "sex": "female",
            "identifiers": [
                {"system": "urn:clinic:mrn", "value": "220744163"},
                {"system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-00-0001"},
            ],
            "previous_names": [{"family": "Eze", "given": "Ngozi"}],
            "phone": [{"number": "555-0101", "use": "home"}],
            "email": "old@clinic.example",
            "address": {"lines": "1 Mill Lane", "city": "Northgate"},
            "language": "ig",
            "contacts": [{"name": "Tunde Adeye", "relationship": "father"}],
        }
        assert {
            "name[0].prefix[0]",
            "name[1].use",
            "telecom[0].rank",
            "telecom[1].value",
            "address[1].district",
            "contact[0].address.city",
            "link[0].type",
            "generalPractitioner[0].reference",
        } <= {one.place for one in read.uncarried}

    @pytest.mark.parametrize(
        ("content", "touched"),
        [
            ({"phone": [{"number": "5550199", "use": "mobile"}]}, {"telecom"}),
            ({"phone": None}, {"telecom"}),
            ({"email": "new@clinic.example"}, {"telecom"}),
            ({"address": {"lines": "2 Quay\nFlat 3", "city": "Northgate"}}, {"address"}),
            ({"language": "en"}, {"communication"}),
            ({"contacts": [{"name": "Tunde Adeye", "phone": "555-0190"}]}, {"contact"}),
            ({"family": "Okonkwo-Bell"}, {"name"}),
            ({"identifiers": [{"value": "7"}]}, {"identifier"}),
            ({"deceased": "2026-11-20"}, {"deceasedDateTime"}),
            ({"previous_names": [{"family": "Eze", "given": "Ngozi"}]}, {"name"}),
        ],
    )
    def test_an_update_keeps_every_other_element(
        self, content: dict[str, Any], touched: set[str]
    ) -> None:
        before = loads(json.dumps(held()))
        form = updated(content, before)
        for name in {*before, *form.resource} - touched - {"meta"}:
            assert dumps(form.resource.get(name)) == dumps(before.get(name)), name
        assert check(form.resource) == ()
        expected = parse_change("demographics", "update", content).applied_to(
            from_fhir(before, tag_system=TAG_SYSTEM).content
        )
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM).content
        assert changed_fields("demographics", expected, read) == ()

    def test_no_identifier_is_ever_lost(self) -> None:
        before = held()
        form = updated({"identifiers": [{"system": "urn:clinic:mrn", "value": "1"}]}, before)
        assert form.resource["identifier"] == [
            *before["identifier"],
            {"system": "urn:clinic:mrn", "value": "1"},
        ]
        again = updated(
            {"identifiers": [{"system": "urn:clinic:mrn", "value": "220744163"}]}, before
        )
        assert again.resource["identifier"] == before["identifier"]

    def test_the_one_that_is_spoken_of_changes_and_its_neighbours_stay(self) -> None:
        form = updated(
            {
                "phone": [{"number": "555-0101", "use": "mobile"}, {"number": "555-0155"}],
                "email": "new@clinic.example",
            },
            held(),
        )
        assert form.resource["telecom"] == [
            {"system": "phone", "value": "555-0101", "use": "mobile", "rank": 2},
            {"system": "phone", "value": "555-0155"},
            {"system": "phone", "value": "555-0000", "use": "old"},
            {"system": "fax", "value": "555-0102"},
            {"system": "email", "value": "new@clinic.example", "rank": 1},
            {"system": "email", "value": "second@clinic.example"},
        ]
        assert form.uncarried == ()

    def test_what_goes_away_is_said(self) -> None:
        form = updated({"phone": None, "contacts": None, "address": {"city": "Leeds"}}, held())
        assert [(one.place, one.removed) for one in form.uncarried] == [
            ("/phone", True),
            ("/address", True),
            ("/contacts", True),
        ]
        assert form.resource["address"] == [
            {"use": "billing", "line": ["PO Box 1"]},
            {"use": "home", "city": "Leeds"},
        ]
        assert "contact" not in form.resource

    def test_another_preferred_language_leaves_the_spoken_ones(self) -> None:
        spoken = updated({"language": "en"}, held()).resource["communication"]
        assert [one.get("preferred") for one in spoken] == [True, None]


class TestInThePracticeEhr:
    def test_contact_data_are_updated_and_the_record_number_stays(
        self, fresh_practice: Practice
    ) -> None:
        stage = Stage(fresh_practice, "generic", who="P15")
        target = f"Patient/{stage.people['P15']['patient']}"
        before = stage.backend.get(target).json()
        plan = stage.change("demographics", target, **SAMPLES["demographics", "update"])
        assert stage.send(plan) == target
        after = stage.backend.get(target).json()
        assert after["identifier"] == before["identifier"]
        for name in ("name", "birthDate", "gender", "address", "active"):
            assert after[name] == before[name]
        entry = stage.entry("demographics", target)
        assert comparable_differences(plan.comparable, entry.comparable) == ()
        assert entry.canonical["email"] == "ngozi@clinic.example"
        identity = stage.read("problem", neighbourhood=False).identity
        assert identity is not None
        assert identity.mrns

    def test_a_colleague_who_was_quicker_is_not_overwritten(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        target = f"Patient/{stage.people['P1']['patient']}"
        plan = stage.change("demographics", target, email="ngozi@clinic.example")
        fresh_practice.lever(
            "edit_as_colleague",
            vendor="generic",
            patient="P1",
            reference=target,
            changes={"maritalStatus": {"text": "married"}},
        )
        with pytest.raises(VersionConflict):
            stage.send(plan)

    def test_another_patients_record_is_not_touched(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        with pytest.raises(CannotBeCarried) as refused:
            stage.change("demographics", f"Patient/{stage.people['P6']['patient']}", language="fr")
        assert [i.code for i in refused.value.issues] == ["target-of-another"]

    def test_nobody_is_registered_from_here(self, fresh_practice: Practice) -> None:
        for vendor in ("generic", "epic"):
            stage = Stage(fresh_practice, vendor)
            baseline = stage.adapter.read(
                ReadRequest(patient=stage.people["P1"]["patient"], kind="demographics", at=stage.at)
            )
            change = parse_change("demographics", "create", NEW)
            with pytest.raises(Unsupported):
                stage.adapter.render(change, tag=TAG, baseline=baseline)
            assert stage.adapter.copy_card(change).place
