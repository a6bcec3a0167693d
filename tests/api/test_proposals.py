"""What intake takes, what it refuses and where, and what it keeps."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import AuditEvent
from intents.governance import switches
from intents.governance.models import AgentCredential, AgentRelease, ScopeGrant
from intents.governance.tenancy import tenant_context
from intents.models import EvidenceItem, Intent, IntentVersion, Proposal, Source
from tests.api.conftest import INSTALLER, KNEE, TRANSCRIPT, note, problem, proposal

pytestmark = pytest.mark.django_db


def by():
    return {"actor": INSTALLER, "at": timezone.now()}


def code_of(answer):
    assert answer["Content-Type"] == "application/problem+json", answer.content
    body = answer.json()
    assert body["status"] == answer.status_code
    assert body["type"].endswith(f"/problems/{body['code']}")
    return answer.status_code, body["code"]


def pointers(answer):
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


class TestAGoodProposal:
    def test_is_recorded_as_a_draft_with_everything_it_rests_on(self, scribe, clinic):
        body = proposal(changes=[problem(), note()])
        answer = scribe.propose(body, key="key-1")

        assert answer.status_code == 201, answer.content
        shown = answer.json()
        assert shown["state"] == "open"
        assert [(c["ref"], c["state"]) for c in shown["changes"]] == [
            ("c1", "DRAFTED"),
            ("n1", "DRAFTED"),
        ]
        assert answer["Location"].endswith(f"/api/v1/proposals/{shown['id']}")
        with tenant_context(clinic[0].pk):
            stored = Proposal.objects.get()
            assert str(stored.pk) == shown["id"]
            assert (stored.proposal_key, stored.lane, stored.patient_ref) == (
                "key-1",
                "suggest",
                "P9",
            )
            assert stored.phi_json("asserted_identity") == {
                "family": "Ostervane",
                "birth_date": "1962-02-20",
            }
            assert stored.phi("summary") == "Knee pain"
            source = Source.objects.get()
            assert source.phi("text") == TRANSCRIPT
            intents = list(Intent.objects.order_by("position"))
            versions = {v.intent_id: v for v in IntentVersion.objects.all()}
            assert len({v.tag for v in versions.values()}) == 2
            content = versions[intents[0].pk].phi_json("content")
            assert content["code"] == [
                {"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "M17.11"}
            ]
            assert all(i.current_version_id == versions[i.pk].pk for i in intents)
            evidence = EvidenceItem.objects.get(version=versions[intents[0].pk])
            assert (evidence.source_id, evidence.start, evidence.end, evidence.confidence) == (
                source.pk,
                KNEE,
                KNEE + 13,
                80,
            )

    def test_stores_no_clinical_text_in_the_clear(self, scribe):
        scribe.propose(proposal(changes=[problem(), note()]))
        tables = [
            t for t in database.introspection.table_names() if t.startswith(("intents_", "audit_"))
        ]
        with database.cursor() as cursor:
            for table in tables:
                cursor.execute(f'SELECT * FROM "{table}"')
                for row in cursor.fetchall():
                    for word in ("Ostervane", "knee", "Knee pain", "1962-02-20", "M17.11"):
                        assert word not in str(row), table

    @pytest.mark.req("002-04")
    def test_is_audited_once_with_every_row_it_made(self, scribe):
        scribe.propose(proposal(changes=[problem(), note()]))
        event = AuditEvent.objects.get(tag="intent:proposal:received")

        assert (event.actor_kind, event.actor_id) == ("AGENT", str(scribe.agent.pk))
        assert "system/Condition.cu" in event.authority
        assert len(event.patient_token) == 32
        assert len(event.encounter_token) == 32
        tables = [row["table"] for row in event.rows]
        assert tables.count("intents_intentversion") == 2
        assert tables.count("intents_historicalintent") == 2
        assert {"intents_historicalproposal", "intents_source", "intents_evidenceitem"} <= set(
            tables
        )

    def test_wakes_screening_when_it_is_stored(
        self, scribe, monkeypatch, django_capture_on_commit_callbacks
    ):
        woken = []
        monkeypatch.setattr("celery.current_app.send_task", lambda name, **_: woken.append(name))
        with django_capture_on_commit_callbacks(execute=True):
            scribe.propose(proposal())

        assert woken == ["intents.screen_due"]

    def test_costs_as_many_statements_whatever_its_size(self, scribe):
        sources = [{"ref": f"s{i}", "kind": "document", "text": TRANSCRIPT} for i in range(1, 21)]
        counts = []
        # The first proposal for a patient also makes the patient's key.
        scribe.propose(proposal())
        for size in (1, 20):
            # (SQLite inserts about seventy rows at a time, PostgreSQL any number.)
            changes = [problem(ref=f"c{i}") for i in range(size)]
            headers = scribe.headers()
            with CaptureQueriesContext(database) as captured:
                answer = Client().post(
                    "/api/v1/suggest/proposals",
                    json.dumps(proposal(changes=changes, sources=sources[:size])),
                    content_type="application/json",
                    headers=headers | {"Idempotency-Key": str(uuid4())},
                )
            assert answer.status_code == 201, answer.content
            counts.append(len(captured))

        assert counts[0] == counts[1]

    def test_takes_the_proposals_visit_for_changes_that_name_none(self, scribe, clinic):
        diagnosis = problem(content=problem()["content"] | {"category": "encounter-diagnosis"})
        other = note(content=note()["content"] | {"encounter": "e-2"})
        assert scribe.propose(proposal(changes=[diagnosis, other])).status_code == 201

        with tenant_context(clinic[0].pk):
            found = [
                v.phi_json("content")["encounter"]
                for v in IntentVersion.objects.order_by("intent__position")
            ]
        assert found == ["Encounter/e-1", "Encounter/e-2"]

    def test_names_an_approved_release_only_when_it_is_one(self, scribe, clinic):
        with transaction.atomic():
            release = AgentRelease.approve(
                agent=scribe.agent,
                version="7",
                model_name="clin-draft",
                model_version="1",
                prompt_hash="sha256:abc",
                **by(),
            )
        known = scribe.propose(proposal()).json()["id"]
        unknown = scribe.propose(
            proposal(model={"name": "clin-draft", "version": "2", "prompt_hash": "sha256:abc"})
        ).json()["id"]

        with tenant_context(clinic[0].pk):
            assert Proposal.objects.get(pk=known).agent_release_id == release.pk
            assert Proposal.objects.get(pk=unknown).agent_release_id is None

    @pytest.mark.req("003-98")
    def test_is_taken_also_while_writing_is_stopped(self, scribe):
        switches.engage(target="DEPLOYMENT", reason="drill", **by())

        assert scribe.propose(proposal()).status_code == 201

    def test_needs_no_sources_and_no_evidence(self, scribe):
        bare = proposal(changes=[problem(evidence=[])], sources=[])
        for name in ("summary", "task_type", "model", "encounter"):
            del bare[name]

        assert scribe.propose(bare).status_code == 201

    def test_keeps_invisible_characters_in_sources_as_they_are(self, scribe, clinic):
        text = "no\u200b fever\u00a0\ufeff\U0001f600 since \u00bd day\r\n"
        source = {"ref": "s1", "kind": "document", "text": text}
        quote = {
            "path": "/code",
            "source": "s1",
            "start": 10,
            "end": 12,
            "quote": text[10:12],
            "method": "copied",
        }
        answer = scribe.propose(proposal(sources=[source], changes=[problem(evidence=[quote])]))

        assert answer.status_code == 201, answer.content
        with tenant_context(clinic[0].pk):
            assert Source.objects.get().phi("text") == text


class TestLanes:
    @pytest.mark.req("000-27", "000-28")
    @pytest.mark.parametrize("held", ["draft", "suggest", "commit"])
    @pytest.mark.parametrize("asked", ["draft", "suggest", "commit"])
    def test_open_for_their_own_credential_only(self, add_program, held, asked):
        program = add_program(lane=held)
        answer = program.propose(proposal(), lane=asked)

        if held == asked:
            assert (answer.status_code, answer.json()["lane"]) == (201, held)
        else:
            assert code_of(answer) == (403, "wrong-lane")

    def test_reach_no_farther_than_the_grant(self, add_program):
        program = add_program(lane="commit", scopes={"system/Condition.cu": "suggest"})

        assert code_of(program.propose(proposal())) == (403, "scope-not-granted")

    def test_do_not_share_a_key(self, scribe, settings):
        body = proposal()
        assert scribe.propose(body, key="k").status_code == 201
        with transaction.atomic():
            other = AgentCredential.issue_key(
                agent=scribe.agent,
                lane="draft",
                public_key=scribe.credential.public_key,
                expires_at=timezone.now() + timedelta(days=1),
                **by(),
            )
        scribe.credential = other

        assert code_of(scribe.propose(body, key="k")) == (409, "proposal-key-reused")


class TestScopes:
    @pytest.mark.req("000-19", "001-18", "003-34")
    def test_are_needed_for_each_change(self, add_program):
        program = add_program(scopes={"system/DocumentReference.c": "suggest"})

        assert program.propose(proposal(changes=[note()])).status_code == 201
        answer = program.propose(proposal(changes=[note(), problem()]))
        assert code_of(answer) == (403, "scope-not-granted")
        assert pointers(answer) == [("/changes/1", "scope-not-granted")]

    @pytest.mark.req("001-116")
    def test_are_looked_up_at_every_request(self, scribe):
        headers = scribe.headers() | {"Idempotency-Key": "k"}
        grants = ScopeGrant.unscoped.filter(agent=scribe.agent)
        with transaction.atomic():
            for grant in grants:
                grant.revoke(**by())
        answer = Client().post(
            "/api/v1/suggest/proposals",
            json.dumps(proposal()),
            content_type="application/json",
            headers=headers,
        )

        assert code_of(answer) == (403, "scope-not-granted")
        assert AuditEvent.objects.filter(tag="governance:scope:refused").count() == 1

    def test_do_not_tell_which_connections_exist(self, scribe, clinic):
        unknown = scribe.propose(proposal(connection="nowhere"))

        assert code_of(unknown) == (403, "scope-not-granted")
        assert pointers(unknown) == [("/connection", "scope-not-granted")]

    def test_distinguish_create_from_update(self, add_program):
        program = add_program(scopes={"system/Condition.c": "suggest"})
        update = problem(
            interaction="update", target="Condition/1", content={"note": "worse"}, evidence=[]
        )

        assert code_of(program.propose(proposal(changes=[update]))) == (403, "scope-not-granted")


class TestRepetition:
    @pytest.mark.req("002-02", "001-21", "002-37")
    def test_of_the_same_bytes_is_the_same_proposal(self, scribe, clinic):
        raw = json.dumps(proposal()).encode()
        first, again = (scribe.propose(raw, key="k") for _ in range(2))

        assert (first.status_code, again.status_code) == (201, 200)
        assert first.json() == again.json()
        with tenant_context(clinic[0].pk):
            assert Proposal.objects.count() == 1

    def test_of_the_key_with_other_bytes_is_refused(self, scribe):
        assert scribe.propose(proposal(), key="k").status_code == 201
        for other in (
            json.dumps(proposal()).encode() + b" ",
            json.dumps(proposal(summary="other")).encode(),
            b"not even json",
        ):
            assert code_of(scribe.propose(other, key="k")) == (409, "proposal-key-reused")

    def test_of_the_key_by_another_agent_is_another_proposal(self, scribe, add_program, stranger):
        bodies = [
            program.propose(proposal(), key="k").json()["id"]
            for program in (scribe, add_program(name="other"), stranger)
        ]

        assert len(set(bodies)) == 3

    @pytest.mark.parametrize("key", ["", "a b", "x" * 256, "käse", "a\tb"])
    def test_needs_a_key_of_visible_ascii(self, scribe, key):
        assert code_of(scribe.propose(proposal(), key=key)) == (400, "idempotency-key-missing")

    def test_refused_once_may_be_mended_under_the_same_key(self, scribe):
        assert scribe.propose(proposal(changes=[]), key="k").status_code == 422
        assert scribe.propose(proposal(), key="k").status_code == 201


class TestNotJson:
    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"{}{}",
            b"\xef\xbb\xbf{}",
            b"\xff\xfe{}",
            b'{"a": NaN}',
            b'{"a": Infinity}',
            b'{"a": 1, "a": 2}',
            b'{"a": {"b": 1, "b": 1}}',
            b"[" * 65 + b"]" * 65,
            b"[" * 200_000,
            b'{"a": "\\ud800"}',
            b'{"\\udfff": 1}',
            b'{"a": ' + b"9" * 5000 + b"}",
            b"{'a': 1}",
            b'{"a": 1,}',
        ],
        ids=lambda raw: repr(raw[:20]),
    )
    def test_is_refused(self, scribe, raw):
        assert code_of(scribe.propose(raw)) == (400, "not-json")

    def test_of_another_media_type_is_refused(self, scribe):
        answer = Client().post(
            "/api/v1/suggest/proposals",
            b"<a/>",
            content_type="text/xml",
            headers=scribe.headers() | {"Idempotency-Key": "k"},
        )

        assert code_of(answer) == (415, "unsupported-media-type")


class TestTooLarge:
    def test_is_refused_before_it_is_read(self, scribe, settings):
        limit = settings.MAX_PROPOSAL_BYTES
        assert code_of(scribe.propose(b" " * (limit + 1))) == (413, "too-large")
        assert code_of(scribe.propose(b" " * limit)) == (400, "not-json")

        headers = scribe.headers() | {"Idempotency-Key": "k"}
        lying = Client().generic(
            "POST",
            "/api/v1/suggest/proposals",
            b"{}",
            content_type="application/json",
            headers=headers,
            CONTENT_LENGTH=str(limit + 1),
        )
        assert code_of(lying) == (413, "too-large")

    def test_a_body_in_chunks_is_told_to_say_its_length(self, scribe):
        answer = Client().generic(
            "POST",
            "/api/v1/suggest/proposals",
            b"",
            content_type="application/json",
            headers=scribe.headers() | {"Idempotency-Key": "k", "Transfer-Encoding": "chunked"},
            CONTENT_LENGTH="",
        )
        assert code_of(answer) == (411, "length-required")


def changed(path, value, *, body=None):
    """The proposal with the value at a path replaced; `...` takes it away."""
    body = json.loads(json.dumps(body or proposal(changes=[problem(), note()])))
    *parents, last = path
    place = body
    for part in parents:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


C0, C1, E0, S0 = ("changes", 0), ("changes", 1), ("changes", 0, "evidence", 0), ("sources", 0)


class TestInvalid:
    @pytest.mark.req("003-61")
    @pytest.mark.parametrize(
        ("path", "value", "where", "code"),
        [
            (("extra",), 1, "/extra", "unknown-field"),
            (("patient", "extra"), 1, "/patient/extra", "unknown-field"),
            ((*S0, "extra"), 1, "/sources/0/extra", "unknown-field"),
            ((*C0, "extra"), 1, "/changes/0/extra", "unknown-field"),
            ((*C0, "content", "extra"), 1, "/changes/0/content/extra", "unknown-field"),
            ((*C0, "content", "a/b~c"), 1, "/changes/0/content/a~1b~0c", "unknown-field"),
            ((*E0, "extra"), 1, "/changes/0/evidence/0/extra", "unknown-field"),
            (
                (*C1, "content", "sections", 0, "extra"),
                1,
                "/changes/1/content/sections/0/extra",
                "unknown-field",
            ),
            (("patient",), ..., "/patient", "missing"),
            (("patient", "family"), ..., "/patient/family", "missing"),
            (("patient", "family"), "", "/patient/family", "too-short"),
            (("patient", "family"), " ", "/patient/family", "malformed"),
            (("patient", "family"), None, "/patient/family", "wrong-type"),
            (("patient", "birth_date"), "14.03.1957", "/patient/birth_date", "malformed"),
            (("patient", "birth_date"), "1957-02-30", "/patient/birth_date", "malformed"),
            (("patient", "birth_date"), "19570314", "/patient/birth_date", "malformed"),
            (("patient", "sex"), "F", "/patient/sex", "unknown-value"),
            (("patient", "id"), "a/b", "/patient/id", "malformed"),
            (("patient", "id"), "x" * 65, "/patient/id", "malformed"),
            (("encounter",), "e 1", "/encounter", "malformed"),
            (("all_or_nothing",), "yes", "/all_or_nothing", "wrong-type"),
            (("all_or_nothing",), 1, "/all_or_nothing", "wrong-type"),
            (("changes",), [], "/changes", "too-few"),
            (("changes",), {}, "/changes", "wrong-type"),
            (("changes",), ["x"], "/changes/0", "wrong-type"),
            ((*C0, "kind"), "horoscope", "/changes/0/kind", "unknown-kind"),
            ((*C0, "interaction"), "delete", "/changes/0/interaction", "unknown-interaction"),
            ((*C0, "interaction"), "amend", "/changes/0/interaction", "unknown-interaction"),
            ((*C0, "content"), [], "/changes/0/content", "wrong-type"),
            ((*C0, "content", "code"), ..., "/changes/0/content/code", "missing"),
            (
                (*C0, "content", "category"),
                "encounter",
                "/changes/0/content/category",
                "unknown-code",
            ),
            ((*C0, "target"), "Condition/1", "/changes/0/target", "not-in-this-interaction"),
            ((*C0, "depends_on"), ["zz"], "/changes/0/depends_on/0", "unknown-reference"),
            ((*C0, "depends_on"), ["c1"], "/changes/0/depends_on/0", "unknown-reference"),
            ((*C1, "ref"), "c1", "/changes/1/ref", "repeated-ref"),
            ((*C0, "ref"), "", "/changes/0/ref", "malformed"),
            ((*S0, "kind"), "rumour", "/sources/0/kind", "unknown-value"),
            ((*S0, "text"), "", "/sources/0/text", "too-short"),
            ((*S0, "recorded_at"), "2026-11-20T08:41:02", "/sources/0/recorded_at", "malformed"),
            ((*S0, "segments"), [{"start": 0, "end": 9999}], "/sources/0/segments/0", "bad-span"),
            ((*E0, "path"), "/nothing", "/changes/0/evidence/0/path", "unknown-path"),
            ((*E0, "path"), "", "/changes/0/evidence/0/path", "unknown-path"),
            ((*E0, "path"), "code", "/changes/0/evidence/0/path", "malformed"),
            ((*E0, "source"), "s9", "/changes/0/evidence/0/source", "unknown-reference"),
            ((*E0, "method"), "guessed", "/changes/0/evidence/0/method", "unknown-value"),
            ((*E0, "confidence"), 1.01, "/changes/0/evidence/0/confidence", "malformed"),
            ((*E0, "confidence"), "0.9", "/changes/0/evidence/0/confidence", "wrong-type"),
            ((*E0, "start"), -1, "/changes/0/evidence/0/start", "malformed"),
            ((*E0, "start"), 1.5, "/changes/0/evidence/0/start", "wrong-type"),
            ((*E0, "start"), True, "/changes/0/evidence/0/start", "wrong-type"),
            ((*E0, "span"), [0, 3], "/changes/0/evidence/0/span", "bad-span"),
            (
                ("changes", 1, "evidence", 0, "span"),
                [0, 999],
                "/changes/1/evidence/0/span",
                "bad-span",
            ),
            (
                (*C1, "content", "sections", 0, "acts"),
                [{"span": [0, 4], "change": "zz"}],
                "/changes/1/content/sections/0/acts/0/change",
                "unknown-reference",
            ),
            (
                (*C1, "content", "sections", 0, "acts"),
                [{"span": [0, 4], "change": "n1"}],
                "/changes/1/content/sections/0/acts/0/change",
                "unknown-reference",
            ),
            (("supersedes",), "x", "/supersedes", "malformed"),
            (
                ("supersedes",),
                "5f0c0c1e-6c55-4d0e-9a53-0d0d8f3f1c11",
                "/supersedes",
                "unknown-reference",
            ),
        ],
        ids=str,
    )
    def test_is_refused_with_its_place(self, scribe, path, value, where, code):
        answer = scribe.propose(changed(path, value))

        assert code_of(answer) == (422, "proposal-invalid")
        assert (where, code) in pointers(answer)

    def test_names_every_place_at_once(self, scribe):
        body = changed((*C0, "content", "extra"), 1)
        body["changes"][1]["content"]["status"] = "signed"

        assert len(pointers(scribe.propose(body))) >= 2

    @pytest.mark.parametrize("document", [[], "x", 1, None, True])
    def test_is_refused_when_it_is_no_object(self, scribe, document):
        assert code_of(scribe.propose(document)) == (422, "proposal-invalid")

    def test_dependencies_may_not_go_in_a_circle(self, scribe):
        body = proposal(changes=[problem(depends_on=["n1"]), note(depends_on=["c1"])])

        assert ("/changes", "circular-dependency") in pointers(scribe.propose(body))

    def test_interactions_other_than_create_name_a_target_of_the_kind(self, scribe):
        update = {"interaction": "update", "content": {"note": "worse"}, "evidence": []}

        assert (
            scribe.propose(proposal(changes=[problem(target="Condition/1", **update)])).status_code
            == 201
        )
        for target, code in (
            (None, "missing"),
            ("Observation/1", "bad-reference"),
            ("Condition", "malformed"),
            ("Condition/1/_history/2", "malformed"),
        ):
            answer = scribe.propose(proposal(changes=[problem(target=target, **update)]))
            assert ("/changes/0/target", code) in pointers(answer)

    def test_repeats_nothing_that_was_sent(self, scribe):
        secret = "Okonkwo-has-secret-disease"
        for path in (
            ("patient", "sex"),
            ("patient", "birth_date"),
            ("connection",),
            (*C0, "kind"),
            (*C0, "interaction"),
            (*C0, "content", "code"),
            (*C0, "content", "category"),
            (*E0, "quote"),
            (*E0, "path"),
            (*E0, "method"),
            (*S0, "kind"),
        ):
            answer = scribe.propose(changed(path, secret))
            assert answer.status_code in {403, 422}
            assert secret not in answer.content.decode(), path

    def test_is_audited_without_its_content(self, scribe):
        scribe.propose(changed(("patient", "sex"), "F"))
        event = AuditEvent.objects.get(tag="intent:proposal:refused")

        assert event.actor_id == str(scribe.agent.pk)


class TestEvidence:
    @pytest.mark.parametrize(
        ("start", "end", "quote"),
        [
            (KNEE, KNEE + 13, "my knee hurt!"),
            (KNEE, KNEE + 13, "My knee hurts"),
            (KNEE + 1, KNEE + 14, "my knee hurts"),
            (KNEE, KNEE + 12, "my knee hurts"),
            (KNEE + 13, KNEE, "my knee hurts"),
            (KNEE, KNEE, "x"),
            (len(TRANSCRIPT), len(TRANSCRIPT) + 1, "x"),
            (KNEE, 9_999_999, "my knee hurts"),
        ],
    )
    def test_that_is_not_in_the_source_is_refused(self, scribe, start, end, quote):
        item = problem()["evidence"][0] | {"start": start, "end": end, "quote": quote}
        answer = scribe.propose(proposal(changes=[problem(evidence=[item])]))

        assert code_of(answer) == (422, "evidence-not-verbatim")

    def test_counts_code_points_not_bytes_and_not_utf_16(self, scribe):
        text = "\U0001f912\U0001f912 Fieber é seit März"
        start = 3
        item = {
            "path": "/code",
            "source": "s1",
            "start": start,
            "end": start + 6,
            "quote": "Fieber",
            "method": "copied",
        }
        body = proposal(
            sources=[{"ref": "s1", "kind": "document", "text": text}],
            changes=[problem(evidence=[item])],
        )
        assert scribe.propose(body).status_code == 201

        item["start"], item["end"] = 5, 11
        assert code_of(scribe.propose(body)) == (422, "evidence-not-verbatim")

    def test_is_compared_without_normalising(self, scribe):
        item = {
            "path": "/code",
            "source": "s1",
            "start": 0,
            "end": 1,
            "quote": "\u00e9",
            "method": "copied",
        }
        body = proposal(
            sources=[{"ref": "s1", "kind": "document", "text": "e\u0301 x"}],
            changes=[problem(evidence=[item])],
        )

        assert code_of(scribe.propose(body)) == (422, "evidence-not-verbatim")

    def test_may_point_into_a_list_and_to_what_the_agent_wrote(self, scribe):
        for path in ("/code", "/code/0/code", "/category"):
            item = problem()["evidence"][0] | {"path": path}
            answer = scribe.propose(proposal(changes=[problem(evidence=[item])]))
            assert answer.status_code == 201, path


BIDI = ["\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066", "\u2067", "\u2068", "\u2069"]
TAGS = ["\U000e0001", "\U000e0020", "\U000e0041", "\U000e007f"]


class TestForbiddenCharacters:
    @pytest.mark.req("000-83")
    @pytest.mark.parametrize("character", BIDI + TAGS, ids=lambda c: f"U+{ord(c):04X}")
    def test_are_refused(self, scribe, character):
        body = changed(("summary",), f"knee{character}pain")
        answer = scribe.propose(body)

        assert code_of(answer) == (422, "forbidden-character")
        assert pointers(answer) == [("/summary", "forbidden-character")]

    @pytest.mark.parametrize(
        "path",
        [
            ("summary",),
            ("patient", "family"),
            ("patient", "mrn"),
            ("task_type",),
            (*S0, "text"),
            (*S0, "title"),
            (*C0, "content", "note"),
            (*C1, "content", "sections", 0, "title"),
            (*C1, "content", "sections", 0, "text"),
            (*E0, "quote"),
            ("anything",),
            (*C0, "ref"),
        ],
        ids=str,
    )
    def test_are_refused_in_every_text(self, scribe, path):
        answer = scribe.propose(changed(path, "a\u202eb"))

        assert code_of(answer) == (422, "forbidden-character")

    def test_are_refused_in_names_and_however_they_are_spelt(self, scribe):
        escaped = json.dumps(changed(("na\u202eme",), 1)).encode()
        plain = json.dumps(changed(("summary",), "a\u202eb"), ensure_ascii=False).encode()

        assert b"\\u202e" in escaped
        assert b"\\u202e" not in plain
        for raw in (escaped, plain):
            answer = scribe.propose(raw)
            assert code_of(answer) == (422, "forbidden-character")
            assert "\u202e" not in str(answer.json()["detail"])

    @pytest.mark.parametrize(
        "character", ["\u200b", "\u200c", "\u200d", "\u2060", "\u00ad", "\ufe0f", "\u00a0"]
    )
    def test_do_not_include_other_invisible_ones(self, scribe, character):
        answer = scribe.propose(changed(("summary",), f"knee{character}pain"))

        assert answer.status_code == 201


class TestSuperseding:
    def states(self, clinic, proposal_id):
        with tenant_context(clinic[0].pk):
            return list(
                Intent.objects.filter(proposal=proposal_id)
                .order_by("position")
                .values_list("state", flat=True)
            )

    def update(self, target="Condition/1", **more):
        return problem(
            interaction="update", target=target, content={"note": "worse"}, evidence=[], **more
        )

    def test_ends_the_open_proposal_that_is_named(self, scribe, clinic):
        old = scribe.propose(proposal(changes=[problem(), note()])).json()["id"]
        new = scribe.propose(proposal(supersedes=old))

        assert new.status_code == 201
        assert new.json()["supersedes"] == old
        assert self.states(clinic, old) == ["SUPERSEDED", "SUPERSEDED"]
        assert scribe.get(f"/api/v1/proposals/{old}").json()["state"] == "ended"
        again = scribe.propose(proposal(supersedes=old))
        assert pointers(again) == [("/supersedes", "unknown-reference")]

    def test_ends_an_older_change_of_the_same_target_but_never_a_create(self, scribe, clinic):
        created = scribe.propose(proposal()).json()["id"]
        old = scribe.propose(proposal(changes=[self.update()])).json()["id"]
        other = scribe.propose(proposal(changes=[self.update("Condition/2")])).json()["id"]
        scribe.propose(proposal(changes=[self.update()]))
        scribe.propose(proposal())

        assert self.states(clinic, old) == ["SUPERSEDED"]
        assert self.states(clinic, other) == ["DRAFTED"]
        assert self.states(clinic, created) == ["DRAFTED"]

    def test_never_ends_another_agents_or_another_patients(self, scribe, add_program, clinic):
        other = add_program(name="other")
        theirs = other.propose(proposal(changes=[self.update()])).json()["id"]
        elsewhere = proposal(changes=[self.update()])
        elsewhere["patient"]["id"] = "P1"
        p1 = scribe.propose(elsewhere).json()["id"]
        answer = scribe.propose(proposal(changes=[self.update()], supersedes=theirs))
        scribe.propose(proposal(changes=[self.update()]))

        assert answer.status_code == 422
        assert self.states(clinic, theirs) == ["DRAFTED"]
        assert self.states(clinic, p1) == ["DRAFTED"]

    def test_leaves_what_a_person_holds_or_has_edited(self, scribe, clinic):
        held = scribe.propose(proposal(changes=[self.update()])).json()["id"]
        edited = scribe.propose(proposal(changes=[self.update("Condition/2")])).json()["id"]
        with tenant_context(clinic[0].pk):
            Proposal.unscoped.filter(pk=held).update(
                claimed_until=timezone.now() + timedelta(minutes=5),
                claimed_by=_somebody(clinic[0]),
            )
            first = IntentVersion.objects.get(intent__proposal=edited)
            IntentVersion.objects.bulk_create(
                [
                    IntentVersion(
                        tenant=clinic[0],
                        intent_id=first.intent_id,
                        number=2,
                        author_kind="REVIEWER",
                        author_id="p",
                        author_name="A person",
                        content=first.content,
                        content_hash=first.content_hash,
                        tag=uuid4(),
                        tag_short="AAAA-AAAA-AAAA",
                        created_at=timezone.now(),
                    )
                ]
            )
        scribe.propose(proposal(changes=[self.update()]))
        scribe.propose(proposal(changes=[self.update("Condition/2")]))

        assert self.states(clinic, held) == ["DRAFTED"]
        assert self.states(clinic, edited) == ["DRAFTED"]


def _somebody(tenant):
    from intents.governance.models import Membership, User

    with transaction.atomic():
        user = User.add(email="a@example.org", name="Adaeze", **by())
        return Membership.grant(tenant=tenant, user=user, role="REVIEWER", **by())
