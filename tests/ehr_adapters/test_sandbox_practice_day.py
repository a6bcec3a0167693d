"""What the practice EHR refuses of appointments and answers: the rules of R4 that a client can break."""

from typing import Any

import pytest

from ehr_adapters.sandbox.conformance import problems
from tests.ehr_adapters.fake_ehr import appointment, care_plan, questionnaire_response, task

pytestmark = pytest.mark.once


def without(resource: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in names}


@pytest.mark.parametrize(
    "resource",
    [
        appointment(),
        without(appointment(status="proposed"), "start", "end"),
        appointment(status="cancelled", cancelationReason={"text": "away"}),
        care_plan(),
        questionnaire_response(),
        task(),
    ],
    ids=lambda resource: resource["resourceType"],
)
def test_takes_what_r4_allows(resource):
    assert problems(resource) == []


@pytest.mark.parametrize(
    ("resource", "key"),
    [
        (without(appointment(), "end"), "app-2"),
        (without(appointment(), "start", "end"), "app-3"),
        (appointment(cancelationReason={"text": "away"}), "app-4"),
        (
            questionnaire_response(
                item=[
                    {
                        "linkId": "a",
                        "item": [
                            {
                                "linkId": "b",
                                "answer": [{"valueBoolean": True}],
                                "item": [{"linkId": "c"}],
                            }
                        ],
                    }
                ]
            ),
            "qrs-1",
        ),
    ],
)
def test_refuses_what_r4_forbids(resource, key):
    assert [key in each.text for each in problems(resource)] == [True]
