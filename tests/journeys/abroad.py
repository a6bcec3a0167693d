"""The clinic's connection to a FHIR server that this project did not write, and drafts for its patients."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.db import transaction
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from intents.governance.models import EhrConnection, EhrIdentity, ScopeGrant
from intents.management import clinic as furnishing
from intents.management.keypairs import make_key_pair
from intents.models import Proposal
from tests.ehr_adapters.fake_ehr import FakeEhr
from tests.ehr_adapters.strangers import Server
from tests.journeys.day import Day

NAME = "abroad-r4"
SCOPES = ("Condition.c", "Condition.u", "MedicationRequest.u", "AllergyIntolerance.u")
SAID = "Clinician: Everything is as we discussed on the telephone.\n"
QUOTE = "as we discussed on the telephone"


class Abroad:
    """A day at the clinic, with a patient whose chart is kept by `server`.

    `base` is where the server is reached, if not at its own address; `patient` is its entry of the patient,
    `encounter` and `practitioner` are ids.
    """

    def __init__(
        self,
        day: Day,
        server: Server,
        *,
        patient: Mapping[str, Any],
        encounter: str,
        practitioner: str,
        base: str = "",
        **probed: Any,
    ) -> None:
        self.day, self.server = day, server
        self.patient, self.encounter = patient, encounter
        self._connect(base or server.base, practitioner, probed)
        server.clear_faults()

    @transaction.atomic
    def _connect(self, base: str, practitioner: str, probed: dict[str, Any]) -> None:
        clinic, at = self.day.clinic, self.day.now
        key = settings.KEY_DIR / f"{NAME}.pem"
        key.unlink(missing_ok=True)
        public = load_pem_public_key(make_key_pair(key).encode())
        client = f"reviewportal-{clinic.tenant.pk}"
        self.server.admit(client, public)  # type: ignore[arg-type]  # on the curve that make_key_pair uses
        self.connection = EhrConnection.add(
            tenant=clinic.tenant,
            name=NAME,
            title="A server that others made",
            kind="generic_r4",
            base_url=base,
            token_url=self.server.token_url,
            client_id=client,
            alg="ES384",
            credential_ref=key.name,
            environment="sandbox",
            time_zone="America/Chicago",
            settings={"page_size": 500, **probed},
            token_life_seconds=5,
            processing_bound_seconds=10,
            index_lag_seconds=5,
            actor=furnishing.INSTALLATION,
            at=at,
        )
        EhrIdentity.link(
            user=clinic.person("reyes").user,
            connection=self.connection,
            practitioner_ref=f"Practitioner/{practitioner}",
            actor=furnishing.INSTALLATION,
            at=at,
            verified_by="made-up clinic",
        )
        for scope in SCOPES:
            ScopeGrant.grant(
                agent=clinic.agent,
                connection=self.connection,
                scope=f"system/{scope}",
                lane="suggest",
                actor=furnishing.INSTALLATION,
                at=at,
            )

    def propose(self, *changes: Mapping[str, Any]) -> Proposal:
        """An agent's draft for this patient, received and screened; each change is quoted from its source."""
        name = self.patient["name"][0]
        numbers = [
            one["value"]
            for one in self.patient["identifier"]
            if one.get("type", {}).get("coding", [{}])[0].get("code") == "MR"
        ]
        start = SAID.index(QUOTE)
        quoted = {
            "source": "s1",
            "start": start,
            "end": start + len(QUOTE),
            "quote": QUOTE,
            "method": "derived",
            "confidence": 0.9,
        }
        return self.day.propose(
            *(
                {
                    "ref": f"c{number}",
                    "evidence": [{"path": f"/{field}", **quoted} for field in change["content"]],
                    **change,
                }
                for number, change in enumerate(changes, start=1)
            ),
            connection=NAME,
            encounter=self.encounter,
            sources=[{"ref": "s1", "kind": "transcript", "title": "Call", "text": SAID}],
            who={
                "id": self.patient["id"],
                "family": name["family"],
                "given": " ".join(name["given"]),
                "birth_date": self.patient["birthDate"],
                "sex": self.patient["gender"],
                "mrn": numbers[0] if numbers else None,
            },
        )


class CarelessGateway:
    """Stands before a server: drops what makes a request conditional, and answers an empty 201 whose Location
    is relative. `before_update` is called when an update arrives, before it is passed on."""

    _DROPPED = frozenset({"if-none-exist", "if-match", "host", "content-length", "connection"})

    def __init__(self, front: HTTPServer, server: Server) -> None:
        self.server = server
        self.base = front.url_for("/r4")
        self.seen: list[Mapping[str, str]] = []
        self.before_update: Callable[[], None] | None = None
        front.expect_request(re.compile(r"/r4/.*")).respond_with_handler(self._pass_on)

    def _pass_on(self, request: Request) -> Response:
        path = request.full_path.removeprefix("/r4/").rstrip("?")
        headers = {n: v for n, v in request.headers.items() if n.lower() not in self._DROPPED}
        if request.method in {"POST", "PUT"}:
            self.seen.append({n.lower(): v for n, v in request.headers.items()})
        if request.method == "PUT" and self.before_update is not None:
            act, self.before_update = self.before_update, None
            act()
        try:
            reply = self.server.http.request(
                request.method,
                f"{self.server.base}/{path}",
                data=request.get_data() or None,
                headers=headers,
                timeout=30,
            )
        except OSError:
            return FakeEhr.cut_off(request)
        if reply.status_code == 201:
            made = json.loads(reply.content)
            return Response(
                status=201, headers={"Location": f"{made['resourceType']}/{made['id']}"}
            )
        return Response(
            reply.content,
            status=reply.status_code,
            headers={"Content-Type": reply.headers.get("Content-Type", "text/plain")},
        )
