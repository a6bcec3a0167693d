"""One adapter connected to one front of the practice EHR, and what is done there with any kind of change."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ehr_adapters import registry
from ehr_adapters.base import EhrAdapter
from ehr_adapters.canonical.base import parse_change
from ehr_adapters.contract import Baseline, Connection, ReadRequest, Snapshot, Tag, WirePlan
from tests.ehr_adapters.practice import Practice

KINDS = {"generic": "generic_r4", "epic": "epic"}


class Stage:
    """An adapter, and the patient `who` of the practice. `secrets` are those of its credential file; with a
    "client_secret" the practice knows it by that, else by its key."""

    def __init__(
        self,
        practice: Practice,
        vendor: str,
        *,
        who: str = "P1",
        secrets: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        self.practice, self.vendor, self.who = practice, vendor, who
        secret = (secrets or {}).get("client_secret", "")
        self.backend = practice.client(vendor, **({"secret": secret} if secret else {}))
        self.at = datetime.now(UTC)
        self.connection = Connection(
            kind=KINDS.get(vendor, vendor),
            base_url=self.backend.base,
            token_url=self.backend.token_url,
            client_id=self.backend.client_id,
            alg=self.backend.alg,
            private_key_pem=self.backend.key.private_bytes(
                Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
            ).decode(),
            secrets=secrets or {},
            settings=settings,
            read_timeout=20.0,
            deadline=30.0,
        )
        self.people = practice.directory(vendor)

    @property
    def adapter(self) -> EhrAdapter:
        return registry.get_adapter(self.connection)

    def read(self, kind: str, **more: Any) -> Baseline:
        person = self.people[self.who]
        return self.adapter.read(
            ReadRequest(
                patient=person["patient"],
                encounter=person["encounter"],
                kind=kind,
                at=self.at,
                **more,
            )
        )

    def create(self, kind: str, content: dict[str, Any]) -> WirePlan:
        return self.adapter.render(
            parse_change(kind, "create", content), tag=Tag.mint(), baseline=self.read(kind)
        )

    def change(
        self, kind: str, target: str, interaction: str = "update", **content: Any
    ) -> WirePlan:
        baseline = self.read(kind, interaction=interaction, target=target)
        return self.adapter.render(
            parse_change(kind, interaction, content), tag=Tag.mint(), baseline=baseline
        )

    def send(self, plan: WirePlan) -> str:
        """Sends a plan of one step once; the reference that the EHR answered."""
        [step] = plan.steps
        return self.adapter.submit(step, token=self.adapter.authenticate(step)).reference

    def entry(self, kind: str, reference: str) -> Snapshot:
        found = self.adapter.read_entry(kind=kind, reference=reference, at=self.at)
        assert found is not None
        return found

    def held(self, plan: WirePlan) -> list[str]:
        """Every entry that this plan's tag is found in; fails unless the search was complete."""
        found = self.adapter.find(
            [plan.tag], plan, since=self.at - timedelta(minutes=5), at=self.at
        )
        assert found.complete, found.reason
        return [hit.snapshot.reference for hit in found.hits]
