"""The starter policy as a table, and what must hold of any policy at all."""

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intents.lifecycle import Lane, Tier
from intents.pipeline import policy
from intents.pipeline.policy import Outcome, PolicyContext, Risk, evaluate

pytestmark = pytest.mark.once

GOVERNANCE = Path(policy.__file__).parents[1] / "governance"
STARTER = (GOVERNANCE / "starter.cedar").read_text()
SCHEMA = (GOVERNANCE / "policy.cedarschema.json").read_text()

NONE: frozenset[str] = frozenset()
# A plain visit note: the facts of every row below, except for what the row names.
NOTE = PolicyContext(
    agent_id="a1",
    agent_enabled=True,
    model_known=True,
    requested_lane="suggest",
    granted_lane="suggest",
    autonomy_enabled=False,
    connection_kind="generic_r4",
    environment="SANDBOX",
    rollout="LIVE",
    sent_at_stage=True,
    connection_admits=True,
    finality="filed_unsigned",
    retry_class="S2",
    label_carried=True,
    change_id="c1",
    kind="note",
    interaction="create",
    category="11506-3",
    mode="append",
    sensitivity="normal",
    fields=NONE,
    codes=frozenset({"11506-3"}),
    written_by_portal=False,
    purpose="TREAT",
    consent="permit",
    identity="verified",
    encounter="open",
    under_18=False,
    deceased=False,
    holds=NONE,
    confidence=93,
    contradicted=False,
    unsupported=False,
    ingredients=NONE,
    ingredients_known=True,
    route="",
    dose_change="n/a",
    doses_per_week=0,
    allergy_conflict="n/a",
    duplicate_entries=0,
    egfr=-1,
    egfr_state="n/a",
    pregnancy="n/a",
    lowers_allergy=False,
    no_known_allergies=False,
    recipient="",
    carries=NONE,
)
MEDICATION = replace(
    NOTE,
    kind="medication",
    interaction="update",
    category="list",
    mode="",
    fields=frozenset({"dose"}),
    ingredients=frozenset({"29046"}),
    route="26643006",
    dose_change="within",
    doses_per_week=7,
    allergy_conflict="none",
    duplicate_entries=1,
    egfr=51,
    egfr_state="known",
    pregnancy="n/a",
)
ORDER = replace(MEDICATION, kind="order", interaction="create", category="prescription")
ALLERGY = replace(NOTE, kind="allergy", category="medication", mode="")
PROBLEM = replace(NOTE, kind="problem", category="problem-list-item", mode="")
MESSAGE = replace(NOTE, kind="message", category="", mode="", recipient="patient")


def ask(context: PolicyContext, policy_text: str = STARTER) -> policy.Verdict:
    return evaluate(context, policy_text=policy_text, schema_text=SCHEMA)


def one(*codes: str) -> frozenset[str]:
    return frozenset(codes)


def row(rule: str, tier: Tier, context: PolicyContext, **changed: object):
    return pytest.param(replace(context, **changed), tier, rule, id=f"{rule}-{tier}")


ONE, TWO, NO = Tier.APPROVAL, Tier.DUAL_APPROVAL, Tier.BLOCKED

TABLE = [
    # tasks, appointments, contact data, care plans
    row("TASK-01", ONE, NOTE, kind="task"),
    row("TASK-02", ONE, NOTE, kind="task", interaction="cancel"),
    row("APPT-01", ONE, NOTE, kind="appointment"),
    row("APPT-02", ONE, NOTE, kind="appointment", interaction="cancel"),
    row("PLAN-01", ONE, NOTE, kind="care_plan", interaction="discontinue"),
    row("CONTACT-01", ONE, NOTE, kind="demographics", interaction="update", fields=one("phone")),
    row(
        "IDENTITY-01", NO, NOTE, kind="demographics", interaction="update", fields=one("birth_date")
    ),
    row(
        "IDENTITY-01",
        NO,
        NOTE,
        kind="demographics",
        interaction="update",
        fields=one("phone", "sex"),
    ),
    row("IDENTITY-01", NO, NOTE, kind="demographics", interaction="create"),
    # vitals, questionnaires, results
    row("VITALS-01", ONE, NOTE, kind="vitals"),
    row("VITALS-02", ONE, NOTE, kind="vitals", under_18=True),
    row("QUEST-01", ONE, NOTE, kind="questionnaire", interaction="amend"),
    row("RESULT-01", ONE, NOTE, kind="result", interaction="comment"),
    # notes
    row("NOTE-01", ONE, NOTE),
    row("NOTE-01", ONE, NOTE, interaction="update"),
    row("NOTE-02", ONE, NOTE, interaction="amend"),
    row("NOTE-02", ONE, NOTE, interaction="update", mode="replace"),
    row("NOTE-02", ONE, NOTE, category="18842-5"),
    # problems and allergies
    row("PROBLEM-01", ONE, PROBLEM),
    row("PROBLEM-01", ONE, PROBLEM, interaction="resolve"),
    row("PROBLEM-02", ONE, PROBLEM, category="encounter-diagnosis"),
    row("ALLERGY-01", ONE, ALLERGY),
    row("ALLERGY-02", TWO, ALLERGY, interaction="update", lowers_allergy=True),
    row("ALLERGY-02", TWO, ALLERGY, no_known_allergies=True),
    row("ERROR-01", ONE, PROBLEM, interaction="entered-in-error", written_by_portal=True),
    row("ERROR-02", TWO, PROBLEM, interaction="entered-in-error"),
    # medicines and orders
    row("MED-01", ONE, MEDICATION),
    row("MED-01", ONE, MEDICATION, interaction="discontinue"),
    row("ORDER-01", ONE, ORDER),
    row("ORDER-01", ONE, ORDER, category="lab", ingredients=NONE, dose_change="n/a"),
    row("MED-02", NO, MEDICATION, ingredients=NONE, ingredients_known=False),
    row("MED-03", TWO, MEDICATION, dose_change="more-than-double"),
    row("MED-03", TWO, MEDICATION, dose_change="less-than-half"),
    row("MED-03", TWO, ORDER, dose_change="other-unit"),
    row("MED-03", TWO, MEDICATION, dose_change="unknown"),
    row("MED-04", TWO, ORDER, under_18=True),
    row("ORDER-01", ONE, ORDER, under_18=True, category="lab", ingredients=NONE),
    row("MED-05", TWO, MEDICATION, ingredients=one("6809"), egfr=24),
    row("MED-01", ONE, MEDICATION, ingredients=one("6809"), egfr=30),
    row("MED-06", TWO, MEDICATION, ingredients=one("6809"), egfr=-1, egfr_state="unreadable"),
    row("MED-01", ONE, MEDICATION, ingredients=one("6809"), egfr=-1, egfr_state="not-recorded"),
    row("MED-07", TWO, MEDICATION, pregnancy="yes"),
    row("MED-01", ONE, MEDICATION, pregnancy="no"),
    row("MED-08", TWO, MEDICATION, ingredients=one("11289")),
    row("MED-08", TWO, MEDICATION, ingredients=one("1364430")),
    row("MED-08", TWO, MEDICATION, ingredients=one("274783")),
    row("MED-08", TWO, MEDICATION, ingredients=one("3407")),
    row("MED-08", TWO, MEDICATION, ingredients=one("6851"), doses_per_week=1),
    row("CONTROLLED-01", NO, MEDICATION, ingredients=one("3423")),
    row("CONTROLLED-01", NO, ORDER, ingredients=one("7804")),
    row("CONTROLLED-02", TWO, MEDICATION, ingredients=one("3423"), interaction="create"),
    row("METHOTREXATE-01", NO, MEDICATION, ingredients=one("6851"), doses_per_week=7),
    row("INTERACTION-01", NO, MEDICATION, allergy_conflict="conflict"),
    row("MED-01", ONE, MEDICATION, allergy_conflict="conflict", interaction="discontinue"),
    row("INTERACTION-02", NO, ORDER, allergy_conflict="unreadable"),
    row("INTERACTION-03", NO, MEDICATION, duplicate_entries=2),
    row("CHEMO-01", NO, ORDER, ingredients=one("3002")),
    row("POTASSIUM-01", NO, ORDER, ingredients=one("8591"), route="47625008"),
    row("ORDER-01", ONE, ORDER, ingredients=one("8591")),
    row("DIRECTIVE-01", NO, PROBLEM, codes=one("304253006")),
    # messages
    row("MSG-01", ONE, MESSAGE),
    row("MSG-02", TWO, MESSAGE, carries=one("result")),
    row("MSG-02", TWO, MESSAGE, recipient="proxy"),
    row("MSG-03", NO, MESSAGE, recipient="proxy", sensitivity="restricted"),
    # gates
    row("GATE-01", NO, NOTE, agent_enabled=False),
    row("GATE-02", NO, NOTE, connection_admits=False),
    row("GATE-03", NO, NOTE, consent="deny"),
    row("GATE-04", NO, NOTE, sensitivity="very-restricted"),
    row("GATE-05", NO, ORDER, deceased=True),
    row("GATE-11", NO, NOTE, granted_lane="none"),
    row("GATE-12", NO, NOTE, purpose="HOPERAT", consent="none"),
    row("NOTE-01", ONE, NOTE, purpose="HOPERAT"),
    row("NOTE-01", ONE, NOTE, consent="none"),
    row("GATE-13", NO, NOTE, rollout="TEST_PATIENTS", sent_at_stage=False),
    row("GATE-13", NO, NOTE, rollout="CANARY", sent_at_stage=False),
    row("NOTE-01", ONE, NOTE, rollout="TEST_PATIENTS"),
    row("NOTE-01", ONE, NOTE, rollout="CANARY"),
    row("NOTE-01", ONE, NOTE, rollout="SHADOW", sent_at_stage=False),
    # nothing says yes
    row(policy.NO_RULE, NO, NOTE, kind="encounter"),
    row(policy.NO_RULE, NO, NOTE, kind="telepathy"),
    row(policy.NO_RULE, NO, NOTE, interaction="delete"),
    row(policy.NO_RULE, NO, ORDER, interaction="update"),
    row(policy.NO_RULE, NO, MESSAGE, recipient="everyone"),
]


@pytest.mark.req("000-30", "000-31", "000-37", "002-10", "002-63", "002-64", "003-44")
@pytest.mark.parametrize(("context", "tier", "rule"), TABLE)
def test_starter_policy_gives_each_row_of_the_clinical_table_its_tier(context, tier, rule):
    verdict = ask(context)
    assert verdict.tier is tier, verdict.reasons
    assert rule in {r.rule for r in verdict.reasons}
    assert all(r.sentence.endswith(".") for r in verdict.reasons)


def test_starter_policy_fits_its_schema_and_explains_every_rule():
    assert policy.check_policy(policy_text=STARTER, schema_text=SCHEMA) == ()


def test_every_rule_of_the_starter_policy_decides_some_row_or_gates_autonomy():
    decided = {r.rule for p in TABLE for r in ask(p.values[0]).reasons}
    rules = {n["id"] for n in policy._prepare(STARTER, SCHEMA).annotations.values()}
    assert rules - decided <= {"GATE-06", "GATE-07", "GATE-08", "GATE-09", "GATE-10"}


def test_all_rows_stay_below_autonomous_even_with_every_lane_and_switch_open():
    for param in TABLE:
        wide = replace(
            param.values[0], requested_lane="commit", granted_lane="commit", autonomy_enabled=True
        )
        assert ask(wide).tier is not Tier.AUTONOMOUS


class TestAPolicyThatOpensAutonomy:
    OPEN = STARTER.replace(
        'forbid (principal, action == Action::"commit", resource);',
        'forbid (principal, action == Action::"commit", resource)\n'
        'unless { context.kind == "task" && context.fields == ["due"] };\n'
        '@id("TASK-AUTO") @reason("Due dates of our own tasks.") @risk("low")\n'
        'permit (principal, action == Action::"commit", resource)\n'
        'when { context.kind == "task" && context.fields == ["due"] && context.written_by_portal };',
    )
    DUE = replace(
        NOTE,
        kind="task",
        interaction="update",
        fields=one("due"),
        written_by_portal=True,
        requested_lane="commit",
        granted_lane="commit",
        autonomy_enabled=True,
    )

    def test_approves_by_itself_what_it_names(self):
        verdict = ask(self.DUE, self.OPEN)
        assert (verdict.tier, verdict.lane, verdict.outcome, verdict.risk) == (
            Tier.AUTONOMOUS,
            Lane.COMMIT,
            Outcome.APPROVED,
            Risk.LOW,
        )

    @pytest.mark.parametrize(
        "changed",
        [
            {"model_known": False},
            {"retry_class": "S4"},
            {"sensitivity": "restricted", "label_carried": False},
            {"contradicted": True},
            {"unsupported": True},
            {"fields": one("due", "title")},
        ],
        ids=lambda c: next(iter(c)),
    )
    def test_still_asks_a_person_where_a_gate_says_so(self, changed):
        assert ask(replace(self.DUE, **changed), self.OPEN).tier is Tier.APPROVAL

    @pytest.mark.parametrize(
        "changed",
        [{"autonomy_enabled": False}, {"requested_lane": "suggest"}, {"granted_lane": "suggest"}],
        ids=lambda c: next(iter(c)),
    )
    def test_still_waits_for_a_person_where_lane_or_tenant_do_not_go_that_far(self, changed):
        assert ask(replace(self.DUE, **changed), self.OPEN).outcome is Outcome.PENDING_APPROVAL


class TestPlacement:
    def test_of_an_ordinary_suggestion_is_the_queue(self):
        assert ask(NOTE).outcome is Outcome.PENDING_APPROVAL

    def test_of_a_blocked_change_is_rejection(self):
        assert ask(replace(NOTE, kind="encounter")).outcome is Outcome.REJECTED

    @pytest.mark.req("000-24")
    def test_of_the_draft_lane_is_rest(self):
        assert ask(replace(NOTE, requested_lane="draft")).outcome is Outcome.VALIDATED
        assert ask(replace(NOTE, granted_lane="draft")).outcome is Outcome.VALIDATED

    def test_of_a_doubt_about_the_patient_is_a_hold_even_where_the_rules_block(self):
        doubtful = replace(
            NOTE, kind="encounter", identity="doubtful", holds=one("patient-mismatch")
        )
        assert ask(doubtful).outcome is Outcome.HELD

    def test_of_a_hold_is_a_hold_unless_the_rules_block(self):
        held = replace(NOTE, holds=one("encounter-closed"))
        assert ask(held).outcome is Outcome.HELD
        assert ask(replace(held, agent_enabled=False)).outcome is Outcome.REJECTED

    def test_of_a_doubt_about_consent_is_a_hold_unless_another_rule_forbids_as_well(self):
        doubt = replace(NOTE, purpose="HOPERAT", consent="none")
        assert ask(doubt).outcome is Outcome.HELD
        assert ask(replace(doubt, agent_enabled=False)).outcome is Outcome.REJECTED

    def test_of_an_unknown_lane_is_rejection(self):
        assert ask(replace(NOTE, requested_lane="shout")).outcome is Outcome.REJECTED


class TestWhatAVerdictCarries:
    def test_is_the_hash_of_rules_and_facts_and_the_facts_themselves(self):
        verdict = ask(NOTE)
        assert verdict.policy_hash == policy.policy_hash(STARTER)
        assert ask(PolicyContext.from_input(verdict.input)) == verdict
        assert ask(replace(NOTE, confidence=92)).input_hash != verdict.input_hash

    @pytest.mark.req("003-115")
    def test_names_the_rule_that_forbids_before_the_one_that_permits(self):
        reasons = [r.rule for r in ask(replace(MEDICATION, ingredients=one("11289"))).reasons]
        assert reasons == ["MED-08", "MED-01"]

    def test_is_the_risk_of_the_rule_that_permits(self):
        assert ask(replace(NOTE, kind="task")).risk is Risk.LOW
        assert ask(NOTE).risk is Risk.MEDIUM
        assert ask(MEDICATION).risk is Risk.HIGH


# --- what holds of any policy ----------------------------------------------------------------------

words = st.sampled_from(
    ["", "note", "task", "medication", "order", "allergy", "create", "update", "n/a", "patient"]
)
codes = st.frozensets(st.sampled_from(["11289", "6809", "3423", "phone", "dose", "x"]), max_size=3)
_STRATEGY = {"str": words, "bool": st.booleans(), "int": st.integers(-1, 200), "frozenset": codes}


def _strategy(field) -> st.SearchStrategy:
    return next(s for name, s in _STRATEGY.items() if str(field.type).startswith(name))


any_context = st.one_of(
    st.sampled_from([p.values[0] for p in TABLE]),
    st.builds(PolicyContext, **{f.name: _strategy(f) for f in fields(PolicyContext)}),
)
_ORDER = list(Tier)


def strictness(tier: Tier) -> int:
    return _ORDER.index(tier)


@settings(deadline=None)
@given(any_context)
def test_no_rules_at_all_block_everything(context):
    assert ask(context, "").tier is NO


@settings(deadline=None)
@given(st.sampled_from([p.values[0] for p in TABLE]), st.sampled_from(fields(PolicyContext)))
def test_any_missing_fact_blocks_and_is_named(context, field):
    verdict = ask(replace(context, **{field.name: None}))
    assert verdict.tier is NO
    assert verdict.reasons[0].rule == policy.MISSING_FACT
    assert field.name in verdict.reasons[0].sentence
    assert verdict.outcome in {Outcome.REJECTED, Outcome.HELD}


CONDITIONS = [
    "true",
    "false",
    'context.kind == "note"',
    "context.egfr < 60",
    "context.under_18",
    # overflows, so it errors: the engine alone would skip it
    "context.egfr * 9223372036854775807 + 9223372036854775807 > 1",
]
ACTIONS = [
    "action",
    *(f'action == Action::"{a}"' for a in (policy.AFTER_TWO, policy.AFTER_ONE, policy.AT_ONCE)),
]


@settings(deadline=None)
@given(any_context, st.sampled_from(CONDITIONS), st.sampled_from(ACTIONS))
def test_adding_a_forbid_never_loosens(context, condition, action):
    before = ask(context)
    added = f'@id("X-1") @reason("Added.") forbid (principal, {action}, resource) when {{ {condition} }};'
    after = ask(context, f"{STARTER}\n{added}")
    assert strictness(after.tier) >= strictness(before.tier)


def test_a_forbid_that_errors_blocks_instead_of_being_skipped():
    broken = '@id("X-1") @reason("Added.") forbid (principal, action, resource) when { context.egfr + 9223372036854775807 > 1 };'
    verdict = ask(MEDICATION, f"{STARTER}\n{broken}")
    assert (verdict.tier, verdict.reasons[0].rule) == (NO, policy.NOT_EVALUABLE)


@settings(deadline=None)
@given(any_context, st.randoms(use_true_random=False))
def test_the_order_of_the_rules_changes_nothing_but_their_hash(context, random):
    rules = [r + ";\n" for r in STARTER.split(";\n") if "@id" in r]
    assert len(rules) == STARTER.count("@id(")
    random.shuffle(rules)
    shuffled = ask(context, "".join(rules))
    assert replace(shuffled, policy_hash="") == replace(ask(context), policy_hash="")


@settings(deadline=None)
@given(any_context)
def test_evaluation_is_total_and_repeatable(context):
    assert ask(context) == ask(context)


@pytest.mark.parametrize(
    "rules", ["permit (", "permit (principal, action, resource) when { context.nix };"]
)
def test_rules_that_cannot_be_read_or_evaluated_block(rules):
    assert ask(NOTE, rules).tier is NO


def test_facts_of_the_wrong_type_block():
    assert ask(replace(NOTE, egfr="many")).tier is NO
    assert ask(replace(NOTE, egfr=2**63)).tier is NO


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ("permit (", "cannot be read"),
        ('@reason("A.") permit (principal, action, resource);', "@id"),
        ('@id("A") permit (principal, action, resource);', "@reason"),
        (
            '@id("A") @reason("A.") permit (principal, action, resource);' * 2,
            "of its own",
        ),
        (
            '@id("A") @reason("A.") permit (principal, action, resource) when { context.nix };',
            "nix",
        ),
        ('@id("A") @reason("A.") @risk("nil") permit (principal, action, resource);', "@risk"),
    ],
)
def test_proposed_rules_are_refused_with_what_is_wrong(rules, complaint):
    problems = policy.check_policy(policy_text=rules, schema_text=SCHEMA)
    assert any(complaint in p for p in problems)
