"""A message to a patient or a proxy: irrevocable, and what its words tell."""

from typing import Any

import pytest

from ehr_adapters.canonical.base import ChangeInvalid, interactions, parse_change, words
from ehr_adapters.canonical.fhir_r4 import Destination, from_fhir, to_fhir
from ehr_adapters.canonical.message import (
    emergency_advice,
    recipient_of,
    suggested_by,
    undeclared,
)
from ehr_adapters.canonical.strict_r4 import check
from ehr_adapters.capabilities import Finality, RetryClass
from ehr_adapters.contract import TAG_SYSTEM, Tag, comparable_differences
from ehr_adapters.registry import declared_capabilities
from tests.ehr_adapters.contents import SAMPLES
from tests.ehr_adapters.fake_ehr import communication
from tests.ehr_adapters.practice import Practice, fresh_practice, practice
from tests.ehr_adapters.stage import Stage

__all__ = ["fresh_practice", "practice"]
pytestmark = pytest.mark.once

NEW = SAMPLES["message", "create"]
TAG = Tag("7b0e3c0a-9d0b-4c5e-8a41-5b2c1d0e9f33")
TO = Destination(
    patient="Patient/pa-1", tag_system=TAG_SYSTEM, tag_value=TAG.uuid, tag_short=TAG.short
)


class TestWhatMayBeSaid:
    def test_a_message_is_made_and_nothing_else(self) -> None:
        assert interactions("message") == ("create",)

    @pytest.mark.parametrize(
        ("more", "pointer", "code"),
        [
            ({"to": {"who": "proxy"}}, "/to/name", "missing"),
            ({"to": {"who": "patient", "name": "Tunde"}}, "/to", "contradiction"),
            ({"to": {"who": "everybody"}}, "/to/who", "unknown-code"),
            ({"to": {"who": "proxy", "person": "Patient/1"}}, "/to/person", "bad-reference"),
            ({"carries": []}, "/carries", "too-few"),
            ({"carries": ["none", "result"]}, "/carries", "contradiction"),
            ({"carries": ["gossip"]}, "/carries/0", "unknown-code"),
            ({"language": "Spanish!"}, "/language", "bad-language"),
            ({"subject": "two\nlines"}, "/subject", "not-one-line"),
            ({"in_reply_to": "Task/1"}, "/in_reply_to", "bad-reference"),
        ],
    )
    def test_that_a_message_does_not_hold_is_refused(
        self, more: dict[str, Any], pointer: str, code: str
    ) -> None:
        with pytest.raises(ChangeInvalid) as refused:
            parse_change("message", "create", NEW | more)
        assert [(i.pointer, i.code) for i in refused.value.issues] == [(pointer, code)]

    def test_says_to_whom_in_words(self) -> None:
        assert words("message", "to", {"who": "patient"}) == "the patient"
        assert words("message", "to", {"who": "proxy", "name": "Tunde"}) == "a proxy, Tunde"
        assert recipient_of(NEW) == "patient"
        assert recipient_of({}) == ""


class TestItsWords:
    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("Your potassium is back.", {"result"}),
            ("It is 5.1 mmol/L now.", {"result"}),
            ("Your swab came back negative.", {"result"}),
            ("Please take 20 mg from tomorrow.", {"medication-change"}),
            ("Stop the tablets until Monday.", {"medication-change"}),
            ("Two tablets twice a day from now on.", {"medication-change"}),
            ("You have a urine infection.", {"diagnosis"}),
            ("The picture is consistent with gout.", {"diagnosis"}),
            ("Your INR means that we reduce the dose.", {"result", "medication-change"}),
            ("Yes, you may swim. See you on Monday.", set()),
            ("You have an appointment on Monday at 9.", set()),
        ],
    )
    def test_suggest_what_is_told(self, text: str, what: set[str]) -> None:
        assert set(suggested_by(text)) == what

    def test_what_is_declared_is_no_news_and_the_places_fit(self) -> None:
        content = NEW | {"body": "Take 20 mg. Your INR was fine.", "carries": ["result"]}
        found = undeclared(content)
        assert set(found) == {"medication-change"}
        text = f"{content['subject']}\n{content['body']}"
        assert [text[a:b] for a, b in found["medication-change"]] == ["Take 20 mg"]

    @pytest.mark.parametrize(
        "text",
        [
            "If it gets worse call 911.",
            "Go straight to the nearest emergency room.",
            "Please seek immediate medical attention.",
            "Ring 999.",
            "Call an ambulance.",
            "Take him to the ER tonight.",
            "This is a medical emergency.",
        ],
    )
    def test_advice_for_an_emergency_is_seen(self, text: str) -> None:
        [*places] = emergency_advice(text)
        assert places

    @pytest.mark.parametrize(
        "text", ["Go to the pharmacy.", "Call us on Monday.", "The hospital sent your letter."]
    )
    def test_plain_advice_is_none(self, text: str) -> None:
        assert emergency_advice(text) == ()


class TestInFhir:
    @pytest.mark.parametrize(
        ("to", "recipient"),
        [
            ({"who": "patient"}, {"reference": "Patient/pa-1"}),
            (
                {"who": "proxy", "name": "Tunde Adeye"},
                {"type": "RelatedPerson", "display": "Tunde Adeye"},
            ),
            (
                {"who": "proxy", "person": "RelatedPerson/r-1"},
                {"reference": "RelatedPerson/r-1"},
            ),
        ],
    )
    def test_is_valid_and_reads_back(self, to: dict[str, Any], recipient: dict[str, Any]) -> None:
        change = parse_change("message", "create", NEW | {"to": to, "language": "es-MX"})
        form = to_fhir(change, TO)
        assert check(form.resource) == ()
        assert form.resource["recipient"] == [recipient]
        read = from_fhir(form.resource, tag_system=TAG_SYSTEM)
        said = {k: v for k, v in change.model_dump_canonical().items() if k != "carries"}
        assert (read.content, read.uncarried) == (said, ())

    def test_what_the_ehr_decides_is_said(self) -> None:
        form = to_fhir(parse_change("message", "create", NEW | {"reply_allowed": False}), TO)
        assert [one.place for one in form.uncarried] == ["/reply_allowed"]

    def test_no_tag_stands_in_what_the_patient_reads(self) -> None:
        form = to_fhir(parse_change("message", "create", NEW), TO)
        assert TAG.short not in str(form.resource)
        assert form.resource["payload"] == [{"contentString": NEW["body"]}]

    def test_a_strangers_message_loses_nobody_it_went_to(self) -> None:
        everybody = [{"reference": "Patient/pa-1"}, {"reference": "Practitioner/pr-1"}]
        read = from_fhir(communication(recipient=everybody))
        assert "to" not in read.content
        assert {"recipient[0].reference", "recipient[1].reference", "sender.reference"} <= {
            one.place for one in read.uncarried
        }


class TestInThePracticeEhr:
    def test_is_sent_for_action_found_and_never_sent_twice(self, fresh_practice: Practice) -> None:
        stage = Stage(fresh_practice, "generic")
        plan = stage.create("message", NEW)
        assert plan.finality is Finality.SENT_FOR_ACTION
        sent = stage.send(plan)
        assert stage.held(plan) == [sent]
        assert (
            comparable_differences(plan.comparable, stage.entry("message", sent).comparable) == ()
        )

    @pytest.mark.parametrize("probed", [{}, {"conditional_create_probed": "2026-11-20"}])
    def test_no_probe_makes_it_safe_to_repeat(self, probed: dict[str, str]) -> None:
        row = declared_capabilities("generic_r4", probed).get("message", "create")
        assert row.retry is RetryClass.S6
        assert not row.retry.may_resend
        assert row.retry.unfenced is RetryClass.S6
