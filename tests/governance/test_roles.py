"""Roles are one table; what is not in it is refused."""

import pytest
from django.db import transaction

from intents.governance import roles
from intents.governance.models import ClinicalRole, EhrIdentity, Role
from intents.governance.roles import Permission, SecondCheck
from tests.governance.conftest import BY


@pytest.fixture(autouse=True)
def no_second_factor_needed(settings):
    settings.REQUIRE_MFA_TO_DECIDE = False


@pytest.mark.once
class TestTheTable:
    def test_names_every_role(self):
        assert set(roles.PERMISSIONS) == set(Role)

    def test_lets_only_reviewers_decide(self):
        deciding = {role for role, held in roles.PERMISSIONS.items() if Permission.DECIDE in held}

        assert deciding == {Role.REVIEWER}

    def test_shows_clinical_content_to_nobody_who_does_not_need_it(self):
        seeing = {
            role
            for role, held in roles.PERMISSIONS.items()
            if Permission.SEE_CLINICAL_CONTENT in held
        }

        assert seeing == {Role.REVIEWER, Role.COMPLIANCE, Role.OPERATOR}

    def test_keeps_deciding_and_administering_apart(self):
        for held in roles.PERMISSIONS.values():
            assert not {Permission.DECIDE, Permission.ADMINISTER} <= held

    def test_is_defined_for_every_kind_or_refuses(self):
        assert roles.deciders(kind="charges", interaction="create", facts={}) == frozenset()
        assert roles.deciders(kind="encounter", interaction="create", facts={}) == frozenset()


class TestReviewing:
    def test_needs_the_role(self, inside, add_person):
        for role in Role:
            member = add_person(inside, f"P{role}".replace(".", ""), role)

            assert roles.may_review(member) == (role == Role.REVIEWER)

    def test_needs_a_person_who_is_still_there(self, inside, add_person):
        member = add_person(inside, "Adaeze", "REVIEWER")
        assert roles.may_review(member)
        assert not roles.may_review(None)

        with transaction.atomic():
            member.end(**BY)
        assert not roles.may_review(member)

        again = add_person(inside, "Berit", "REVIEWER")
        with transaction.atomic():
            again.user.deactivate(**BY)
        assert not roles.may_review(again)

    @pytest.mark.req("001-65")
    def test_needs_a_second_factor_and_recovery_codes_are_none(self, inside, add_person, settings):
        from allauth.mfa.models import Authenticator

        settings.REQUIRE_MFA_TO_DECIDE = True
        member = add_person(inside, "Adaeze", "REVIEWER")
        assert not roles.may_review(member)
        assert "second factor" in roles.why_not_review(member)

        Authenticator.objects.create(
            user=member.user, type=Authenticator.Type.RECOVERY_CODES, data={}
        )
        assert not roles.may_review(member)

        Authenticator.objects.create(user=member.user, type=Authenticator.Type.TOTP, data={})
        assert roles.may_review(member)


class TestDeciding:
    @pytest.fixture
    def ask(self, inside, add_person, add_connection):
        connection = add_connection(inside)
        made = {}

        def ask_for(
            clinical_role, *, kind, interaction="create", author_ref="", identity="", **facts
        ):
            key = (clinical_role, identity)
            if key not in made:
                member = add_person(
                    inside, f"P{len(made)}", "REVIEWER", clinical_role=clinical_role
                )
                if identity:
                    with transaction.atomic():
                        EhrIdentity.link(
                            user=member.user,
                            connection=connection,
                            practitioner_ref=identity,
                            **BY,
                        )
                made[key] = member
            return roles.may_decide(
                made[key],
                kind=kind,
                interaction=interaction,
                facts=facts,
                connection=connection,
                author_ref=author_ref,
            )

        return ask_for

    def test_about_problems_is_for_clinicians(self, ask):
        allowed = {role for role in ClinicalRole if ask(role, kind="problem")}

        assert allowed == {ClinicalRole.PRESCRIBER, ClinicalRole.LICENSED}

    def test_about_an_encounter_diagnosis_is_for_prescribers(self, ask):
        allowed = {
            role
            for role in ClinicalRole
            if ask(role, kind="problem", category="encounter-diagnosis")
        }

        assert allowed == {ClinicalRole.PRESCRIBER}

    def test_about_a_note_is_for_its_author(self, ask):
        mine = "Practitioner/dr-1"

        assert ask("PRESCRIBER", kind="note", author_ref=mine, identity=mine)
        assert not ask("PRESCRIBER", kind="note", author_ref="Practitioner/dr-2", identity=mine)
        assert not ask("PRESCRIBER", kind="note", author_ref="", identity=mine)

    def test_about_a_note_needs_a_verified_identity(self, ask):
        assert not ask("PRESCRIBER", kind="note", author_ref="")
        assert not ask("PRESCRIBER", kind="note", author_ref="Practitioner/dr-1")

    def test_about_a_note_ends_with_the_identity(self, ask, inside):
        mine = "Practitioner/dr-1"
        assert ask("PRESCRIBER", kind="note", author_ref=mine, identity=mine)
        with transaction.atomic():
            EhrIdentity.objects.get().unlink(**BY)

        assert not ask("PRESCRIBER", kind="note", author_ref=mine, identity=mine)

    def test_about_medication_is_for_prescribers_but_low_alert_list_entries(self, ask):
        assert not ask("LICENSED", kind="medication")
        assert not ask("LICENSED", kind="medication", entry="list")
        assert not ask("LICENSED", kind="medication", entry="list", high_alert="yes")
        assert not ask("LICENSED", kind="medication", entry="prescription", high_alert="no")
        assert ask("LICENSED", kind="medication", entry="list", high_alert="no")
        assert not ask("ASSISTANT", kind="medication", entry="list", high_alert="no")

    def test_about_a_medicine_for_two_people_is_for_clinicians_together(self, ask):
        assert not ask("LICENSED", kind="medication", people="1")
        assert ask("LICENSED", kind="medication", people="2")
        assert not ask("ASSISTANT", kind="medication", people="2")

    @pytest.mark.parametrize(
        ("kind", "lowest"),
        [
            ("task", "ASSISTANT"),
            ("care_plan", "ASSISTANT"),
            ("appointment", "REGISTRATION"),
            ("demographics", "REGISTRATION"),
            ("vitals", "LICENSED"),
            ("questionnaire", "LICENSED"),
            ("result", "LICENSED"),
            ("allergy", "LICENSED"),
            ("message", "LICENSED"),
            ("medication", "PRESCRIBER"),
        ],
    )
    def test_about_each_kind_is_for_a_role_and_those_above_it(self, ask, kind, lowest):
        order = ["NONE", "REGISTRATION", "ASSISTANT", "LICENSED", "PRESCRIBER"]
        allowed = {role for role in order if ask(role, kind=kind)}

        assert allowed == set(order[order.index(lowest) :])


class TestTwoPeople:
    def test_are_never_one(self, inside, add_person):
        one = add_person(inside, "Adaeze", clinical_role="PRESCRIBER")

        for needs in SecondCheck:
            assert not roles.may_be_two(one, one, needs=needs)

    def test_are_a_prescriber_and_another_or_two_prescribers_or_a_pharmacist(
        self, inside, add_person
    ):
        doctor = add_person(inside, "Adaeze", clinical_role="PRESCRIBER")
        second = add_person(inside, "Berit", clinical_role="PRESCRIBER")
        nurse = add_person(inside, "Corwin", clinical_role="LICENSED", profession="NURSE")
        pharmacist = add_person(inside, "Odile", clinical_role="LICENSED", profession="PHARMACIST")
        one, two = SecondCheck.ONE_PRESCRIBER, SecondCheck.TWO_PRESCRIBERS_OR_PHARMACIST

        assert roles.may_be_two(doctor, nurse, needs=one)
        assert roles.may_be_two(nurse, doctor, needs=one)
        assert not roles.may_be_two(nurse, pharmacist, needs=one)
        assert roles.may_be_two(doctor, second, needs=two)
        assert roles.may_be_two(pharmacist, doctor, needs=two)
        assert not roles.may_be_two(doctor, nurse, needs=two)
        assert roles.may_be_one_of_two(nurse, needs=one)
        assert roles.may_be_one_of_two(pharmacist, needs=two)
        assert roles.may_be_one_of_two(doctor, needs=two)
        assert not roles.may_be_one_of_two(nurse, needs=two)


class TestActors:
    def test_carry_the_role_as_authority(self, inside, add_person):
        actor = roles.actor_of(add_person(inside, "Adaeze", "COMPLIANCE"))

        assert (actor.kind, actor.name, actor.authority) == (
            "COMPLIANCE",
            "Adaeze",
            "role COMPLIANCE",
        )

    def test_of_roles_that_touch_no_change_have_no_edge_in_the_lifecycle(self, inside, add_person):
        from intents.lifecycle import TRANSITIONS

        kinds = {
            roles.actor_of(add_person(inside, f"P{role}", role)).kind
            for role in ("ADMIN", "AUDITOR", "SUPPORT")
        }
        used = {
            kind
            for edges in TRANSITIONS.values()
            for edge in edges.values()
            for kind in edge.actors
        }

        assert not kinds & used
