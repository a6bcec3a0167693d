"""The practice's own reading of R4 and of JSON, held against the library that the portal validates with."""

import json
import re
from decimal import Decimal

import pytest
from fhir.resources.R4B import get_fhir_model_class
from fhir.resources.R4B.domainresource import DomainResource
from hypothesis import given
from hypothesis import strategies as st

from ehr_adapters.sandbox import conformance, exact_json, scopes
from ehr_adapters.sandbox.shapes import CODES, DATATYPES, RESOURCES

pytestmark = pytest.mark.once

# R4B is R4 for these structures; what the practice narrows on purpose is named here.
NARROWED = {("TaskInput", "value"), ("TaskOutput", "value")}
COMMON = {
    "id",
    "extension",
    "modifierExtension",
    "meta",
    "implicitRules",
    "language",
    "text",
    "contained",
}
LINES = (RESOURCES + DATATYPES).strip().splitlines()


def structures() -> dict[str, str]:
    return {line.split()[0]: line for line in LINES if line.strip()}


def library_elements(name: str) -> dict[str, tuple[str, bool, bool]]:
    """Element -> types, list, required, as fhir.resources declares it; choices under their stem."""
    model = get_fhir_model_class(name)
    skipped = (
        COMMON if issubclass(model, DomainResource) else {"id", "extension", "modifierExtension"}
    )
    found: dict[str, tuple[str, bool, bool]] = {}
    for python_name, field in model.model_fields.items():
        alias = field.alias or python_name
        if (
            alias in skipped
            or alias.startswith("_")
            or python_name in {"fhir_comments", "resource_type"}
        ):
            continue
        if alias == "resourceType" or (name == "Narrative" and alias == "div"):
            continue
        spelled = repr(field.annotation)
        nested = re.search(r"abc\.(\w+?)Type\b", spelled)
        primitive = re.search(r", (\w+)\(\)\]", spelled) or re.search(r", (\w+)\(", spelled)
        if nested:
            kind = nested.group(1)
        elif primitive:
            kind = primitive.group(1)[0].lower() + primitive.group(1)[1:]
        else:
            kind = "boolean"
        kind = {"uuidVersion": "uuid"}.get(kind, kind)
        extra = field.json_schema_extra or {}
        many = "List[" in spelled
        stem = extra.get("one_of_many")
        if stem:
            types, _, _ = found.get(stem, ("", False, False))
            joined = "|".join(sorted({*filter(None, types.split("|")), kind}))
            found[stem] = (joined, False, bool(extra.get("one_of_many_required")))
        else:
            found[alias] = (kind, many, bool(extra.get("element_required") or field.is_required()))
    return found


@pytest.mark.parametrize("name", sorted(structures()))
def test_a_structure_is_the_librarys(name):
    own = {}
    for part in structures()[name].split()[1:]:
        element, _, spelled = part.partition(":")
        types = "|".join(sorted(spelled.rstrip("!").rstrip("*").split("|")))
        own[element.removesuffix("[x]")] = (types, "*" in spelled, spelled.endswith("!"))
    theirs = library_elements(name)
    assert set(own) == set(theirs)
    for element, shape in own.items():
        if (name, element) not in NARROWED:
            assert shape == theirs[element], element


def test_every_nested_structure_is_described():
    described = set(structures())
    for line in LINES:
        for part in line.split()[1:]:
            for kind in part.partition(":")[2].rstrip("!").rstrip("*").split("|"):
                assert not kind[0].isupper() or kind in described, (line.split()[0], kind)


def test_every_binding_names_an_element():
    for place in CODES:
        structure, _, element = place.partition(".")
        assert re.search(rf"\b{element}:", structures()[structure]), place


def test_the_resource_types_are_those_the_portal_writes():
    assert {
        "Patient", "Encounter", "Practitioner", "Condition", "DocumentReference", "AllergyIntolerance",
        "MedicationRequest", "MedicationStatement", "Observation", "Provenance", "Task",
    } <= conformance.RESOURCE_TYPES  # fmt: skip
    assert "ConditionStage" not in conformance.RESOURCE_TYPES


class TestPrimitives:
    @pytest.mark.parametrize(
        ("value", "right"),
        [
            ("2026", True),
            ("2026-11", True),
            ("2026-11-20", True),
            ("2026-11-20T08:00:00-05:00", True),
            ("2026-11-20T08:00:00.123Z", True),
            ("2026-11-20T08:00", False),
            ("2026-11-20T08:00:00", False),
            ("2026-13", False),
            ("20.11.2026", False),
            (2026, False),
        ],
    )
    def test_date_times(self, value, right):
        condition = {
            "resourceType": "Condition",
            "subject": {"reference": "Patient/1"},
            "onsetDateTime": value,
        }
        assert (conformance.problems(condition) == []) is right

    @pytest.mark.parametrize(
        ("value", "right"), [("YQ==", True), ("YQ=", False), ("Y Q==", False), ("", False)]
    )
    def test_base64(self, value, right):
        document = {
            "resourceType": "DocumentReference",
            "status": "current",
            "content": [{"attachment": {"contentType": "text/plain", "data": value}}],
        }
        assert (conformance.problems(document) == []) is right

    def test_numbers(self):
        base = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
        assert conformance.problems(base | {"valueQuantity": {"value": Decimal("1.50")}}) == []
        assert conformance.problems(base | {"valueQuantity": {"value": True}})
        assert conformance.problems(base | {"valueInteger": Decimal("1.5")})
        assert conformance.problems(base | {"valueInteger": 1, "valueString": "1"})
        assert conformance.problems(base | {"valueInteger": 1, "dataAbsentReason": {"text": "no"}})

    def test_extensions_of_primitives_and_common_elements(self):
        patient = {
            "resourceType": "Patient",
            "id": "1",
            "meta": {"tag": []},
            "_birthDate": {"extension": []},
            "birthDate": "1957",
            "extension": [],
        }
        assert conformance.problems(patient) == []
        assert conformance.problems(patient | {"modifierExtension": [{"url": "x"}]})


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class TestExactJson:
    @given(JSON_VALUES)
    def test_reads_back_what_it_wrote(self, value):
        again = exact_json.loads(exact_json.dumps(value))
        assert again == value
        assert exact_json.dumps(again) == exact_json.dumps(value)

    @given(JSON_VALUES.filter(lambda value: value is not None))
    def test_writes_json_that_everybody_reads(self, value):
        json.loads(exact_json.dumps(value))

    @pytest.mark.parametrize("text", ["18.0", "0.10", "1.250", "120", "-0.5"])
    def test_keeps_the_digits_of_a_number(self, text):
        assert exact_json.dumps(exact_json.loads(f'{{"value":{text}}}')) == f'{{"value":{text}}}'

    @pytest.mark.parametrize(
        "text", ['{"a":1,"a":1}', "NaN", "[Infinity]", "{", "", b"\xff", "[" * 100_000]
    )
    def test_refuses_what_readers_disagree_on(self, text):
        with pytest.raises(exact_json.NotJson):
            exact_json.loads(text)

    def test_has_no_form_for_a_float(self):
        with pytest.raises(TypeError):
            exact_json.dumps({"value": 1.5})


class TestScopes:
    @pytest.mark.parametrize(
        ("text", "rights"),
        [
            ("system/Condition.c", "c"),
            ("system/Condition.cruds", "cruds"),
            ("system/Condition.read", "rs"),
            ("system/Condition.write", "cud"),
            ("system/Condition.*", "cruds"),
            ("system/Condition.", ""),
            ("system/Condition.dc", ""),
            ("user/Condition.c", ""),
            ("openid", ""),
        ],
    )
    def test_are_read_in_both_spellings(self, text, rights):
        assert {right for scope in scopes.parse(text) for right in scope.rights} == set(rights)

    def test_are_narrowed_to_what_is_registered(self):
        asked = scopes.parse(
            "system/*.cruds system/Task.u system/Observation.c?category=vital-signs"
        )
        registered = scopes.parse(
            "system/Condition.r system/Task.crus system/Observation.c?category=vital-signs"
        )
        given_scopes = scopes.granted(asked=asked, registered=registered)
        assert [str(scope) for scope in given_scopes] == [
            "system/Task.u",
            "system/Observation.c?category=vital-signs",
        ]
        wide = scopes.granted(asked=scopes.parse("system/Task.cruds"), registered=registered)
        assert [str(scope) for scope in wide] == ["system/Task.crus"]
