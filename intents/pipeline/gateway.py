"""The one door to the EHRs: a connection's row in, contract values out.

Everything that behaves differently from one EHR to the next is asked here. Keys are looked up by name
in KEY_DIR for the call that needs one, and never leave it; no result is kept but the capabilities, which
change only with the connection. Reads and writes raise the adapters' own errors, sorted by what is known
about the chart (`ehr_adapters.errors`).
"""

import json
import logging
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.db import connection as database
from django.db import transaction

from audit.actors import Actor, ActorKind
from ehr_adapters import registry
from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.capabilities import Capability, CapabilitySet
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    Connection,
    CopyCard,
    FindResult,
    NameAlikes,
    PatientIdentity,
    QuarantineBounds,
    ReadRequest,
    Snapshot,
    Tag,
    Unreadable,
    WirePlan,
    WireRequest,
    WriteReceipt,
)
from ehr_adapters.errors import AdapterError, AdapterMisconfigured
from intents.governance.models import EhrConnection, Environment
from intents.governance.tenancy import tenant_context
from intents.models import Intent

log = logging.getLogger(__name__)

NOT_SET_UP = "The connection to the EHR is not set up correctly."

_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


# --- kinds and settings --------------------------------------------------------------------------


def kinds() -> tuple[str, ...]:
    """The kinds of connection that can be made."""
    return registry.all_kinds()


def vendor_name(kind: str) -> str:
    """What a clinician calls an EHR of this kind."""
    return registry.vendor_name(kind)


def declared(*, kind: str) -> CapabilitySet:
    """What the adapter of a kind can say with its default settings."""
    return registry.declared_capabilities(kind)


def declared_when_set_up(*, kind: str) -> dict[str, CapabilitySet]:
    """What it can say with an interface set up beside the usual one, by the interface's name."""
    return registry.declared_when_set_up(kind)


def settings_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of the settings of a kind of connection."""
    return registry.settings_schema(kind)


def check_settings(*, kind: str, settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(pointer, sentence) for everything wrong with a connection's settings; empty when usable."""
    return registry.check_settings(kind, settings)


def settings_hash(*, connection: EhrConnection) -> str:
    """SHA-256 over everything of the connection that shapes what is rendered."""
    return _values(connection).settings_hash()


# --- what it can do ------------------------------------------------------------------------------

_KEPT = 256
_capabilities: dict[tuple[object, ...], CapabilitySet] = {}
_capabilities_lock = threading.Lock()


def capabilities_for(*, connection: EhrConnection) -> CapabilitySet:
    """What this connection can say: declared by its adapter, narrowed by the last probe."""
    key = (connection.pk, settings_hash(connection=connection), connection.probed_at)
    with _capabilities_lock:
        kept = _capabilities.get(key)
    if kept is None:
        kept = _adapter(connection).capabilities
        with _capabilities_lock:
            if len(_capabilities) >= _KEPT:
                _capabilities.clear()
            _capabilities[key] = kept
    return kept


def capability(*, connection: EhrConnection, kind: str, interaction: str) -> Capability:
    """One supported capability; raises `Unsupported` with the sentence why otherwise."""
    return capabilities_for(connection=connection).get(kind, interaction)


def withdrawn(*, connection: EhrConnection) -> tuple[Capability, ...]:
    """What the adapter could say and this EHR did not offer when it was last asked, with the sentence why."""
    return _withdrawn(connection, capabilities_for(connection=connection))


def _withdrawn(connection: EhrConnection, found: CapabilitySet) -> tuple[Capability, ...]:
    declared = registry.declared_capabilities(connection.kind, connection.settings)
    return tuple(
        found.lookup(each.kind, each.interaction) or each
        for each in declared
        if each.supported and not found.may(each.kind, each.interaction)
    )


def discover(*, connection: EhrConnection, at: datetime) -> CapabilitySet:
    """What the EHR itself admits today, with evidence. Asks the EHR; raises its errors."""
    return _adapter(connection, with_key=True).discover(at=at)


def probe_due(*, at: datetime) -> int:
    """Ask every connection what it admits and keep the answer; how many answered.

    A connection that does not answer keeps what was found before: silence takes nothing away.
    """
    answered = 0
    for tenant_id, connection_id in EhrConnection.unscoped.values_list("tenant_id", "pk"):
        with tenant_context(tenant_id):
            try:
                probe(connection_id=connection_id, actor=Actor.system(ActorKind.SCHEDULER), at=at)
            except (AdapterError, AdapterMisconfigured) as refused:
                log.warning(
                    "A connection could not be probed",
                    extra={"connection_id": str(connection_id), "error": type(refused).__name__},
                )
                continue
            answered += 1
    return answered


@dataclass(frozen=True, slots=True)
class Probed:
    """What was declared and what was found. `withdrawn` and `restored` ("problem update") since the last look."""

    declared: CapabilitySet
    found: CapabilitySet
    withdrawn: tuple[str, ...]
    restored: tuple[str, ...]


def probe(*, connection_id: UUID | str, actor: Actor, at: datetime) -> Probed:
    """Ask one connection what it admits, by reading alone, and keep the answer.

    A difference to the last answer is an audit event and a warning in the operator's log. Raises the adapters'
    errors; must not be called inside a transaction.
    """
    asked = EhrConnection.objects.get(pk=connection_id)
    found = discover(connection=asked, at=at)
    with transaction.atomic():
        connection = EhrConnection.objects.select_for_update(of=("self",)).get(pk=connection_id)
        answer = _as_kept(found.to_json(), connection.capabilities)
        before = (
            {_name(c) for c in withdrawn(connection=connection)}
            if connection.capabilities
            else set()
        )
        now = {_name(c) for c in _withdrawn(connection, found)}
        gone, back = tuple(sorted(now - before)), tuple(sorted(before - now))
        connection.note_probe(
            capabilities=answer, withdrawn=gone, restored=back, actor=actor, at=at
        )
    if gone or back:
        log.warning(
            "What an EHR offers has changed",
            extra={"connection_id": str(connection_id), "withdrawn": gone, "restored": back},
        )
    declared = registry.declared_capabilities(connection.kind, connection.settings)
    return Probed(declared, found, gone, back)


def try_on(
    *, connection_id: UUID | str, patient: str, actor: Actor, at: datetime
) -> tuple[str, ...]:
    """Try by writing to a patient for tests what this EHR really does, and keep it in the connection's settings.

    The evidence, in sentences. What was not shown is taken out of the settings: its retry class is weaker then.
    Raises the adapters' errors; must not be called inside a transaction.
    """
    asked = EhrConnection.objects.get(pk=connection_id)
    shown = _adapter(asked, with_key=True).probe(patient=patient, at=at)
    with transaction.atomic():
        connection = EhrConnection.objects.select_for_update(of=("self",)).get(pk=connection_id)
        connection.change(
            actor=actor,
            at=at,
            reason="Tried on a patient for tests.",
            settings=shown.applied_to(connection.settings),
        )
    return shown.evidence


def _name(capability: Capability) -> str:
    return f"{capability.kind} {capability.interaction}"


def _as_kept(found: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """What was found; under the date of the first look that found it, where nothing else differs."""
    dated = {**found, "found_at": kept.get("found_at", "")}
    return dated if dated == kept else found


# --- what is there now ---------------------------------------------------------------------------


def read(
    *,
    connection: EhrConnection,
    patient_ref: str,
    kind: str,
    interaction: str,
    at: datetime,
    encounter_ref: str = "",
    target_ref: str = "",
    practitioner_ref: str = "",
    neighbourhood: bool = True,
    context: tuple[str, ...] = (),
    content: Mapping[str, Any] | None = None,
    deadline: float | None = None,
) -> Baseline:
    """What the EHR holds around one change, stamped `at`. `deadline` in seconds bounds all of it.

    `context` asks for entries beside it (`ReadRequest.context`); what the adapter has no way to look for is
    unreadable. `content`: what the change will say.
    """
    adapter = _adapter(connection, with_key=True, deadline=deadline)
    served = tuple(what for what in context if what in adapter.contexts)
    baseline = adapter.read(
        ReadRequest(
            patient=patient_ref,
            kind=kind,
            at=at,
            interaction=interaction,
            encounter=encounter_ref,
            target=target_ref,
            practitioner=practitioner_ref,
            neighbourhood=neighbourhood,
            context=served,
            deadline=deadline,
            content=content or {},
        )
    )
    not_served = tuple(
        Unreadable(what, "not-served", f"The EHR's {what} cannot be read here.")
        for what in context
        if what not in served
    )
    return replace(
        baseline,
        contexts=served if baseline.patient else (),
        unreadable=(*baseline.unreadable, *not_served),
    )


@dataclass(frozen=True, slots=True)
class ReadResult:
    """A read for a page: the baseline, or the sentence why there is none."""

    baseline: Baseline | None
    sentence: str = ""
    error: str = ""


def read_for_review(*, intent: Intent, at: datetime, deadline: float | None = None) -> ReadResult:
    """What the EHR holds around a change, for a page that a person waits for (2 s by default)."""
    try:
        return ReadResult(
            read(
                connection=intent.connection,
                patient_ref=intent.proposal.patient_ref,
                kind=intent.change_kind,
                interaction=intent.interaction,
                encounter_ref=intent.proposal.encounter_ref,
                target_ref=intent.target_ref,
                at=at,
                deadline=settings.EHR_REVIEW_READ_SECONDS if deadline is None else deadline,
            )
        )
    except AdapterError as unanswered:
        return ReadResult(None, unanswered.sentence, unanswered.name)
    except AdapterMisconfigured:
        return ReadResult(None, NOT_SET_UP, "AdapterMisconfigured")


def read_entry(
    *, connection: EhrConnection, kind: str, reference: str, at: datetime
) -> Snapshot | None:
    """One entry by its reference; None when the EHR says that there is none."""
    return _adapter(connection, with_key=True).read_entry(kind=kind, reference=reference, at=at)


def find_name_alikes(
    *,
    connection: EhrConnection,
    identity: PatientIdentity,
    at: datetime,
    deadline: float | None = None,
) -> NameAlikes:
    """Other patients of the connection who could be taken for this one."""
    return _adapter(connection, with_key=True, deadline=deadline).find_name_alikes(identity, at=at)


def let_go_of_database() -> None:
    """Hold no database connection while an EHR takes its time; a worker calls this before it asks."""
    if not database.in_atomic_block:
        database.close()


# --- how it is said ------------------------------------------------------------------------------


def render(
    *, connection: EhrConnection, change: ChartChange, tag: Tag, baseline: Baseline
) -> WirePlan:
    """The exact requests that say this change; no network. Raises `Unsupported`, `CannotBeCarried`."""
    return _adapter(connection).render(change, tag=tag, baseline=baseline)


def parse(*, connection: EhrConnection, plan: WirePlan) -> ChartChange:
    """What frozen bytes say; for an update the whole entry as it will stand. No network."""
    return _adapter(connection).parse(plan)


def copy_card(
    *,
    connection: EhrConnection,
    change: ChartChange,
    baseline: Baseline | None = None,
    sentence: str = "",
) -> CopyCard:
    """The exact words and values for typing a change into the EHR by hand."""
    return _adapter(connection).copy_card(change, baseline=baseline, sentence=sentence)


# --- please do it, did you do it -----------------------------------------------------------------


def authenticate(*, connection: EhrConnection, step: WireRequest) -> AccessToken:
    """A fresh token for the narrow scope of one step."""
    return _adapter(connection, with_key=True).authenticate(step)


def submit(
    *,
    connection: EhrConnection,
    step: WireRequest,
    token: AccessToken,
    earlier: Sequence[WriteReceipt] = (),
) -> WriteReceipt:
    """Send one step once. Returns only what counts as acknowledged; raises what is known otherwise."""
    return _adapter(connection, with_key=True).submit(step, token=token, earlier=earlier)


def find(
    *, connection: EhrConnection, tags: Sequence[Tag], plan: WirePlan, since: datetime, at: datetime
) -> FindResult:
    """Look for what was sent. An error while looking is `complete=False`, never absence."""
    return _adapter(connection, with_key=True).find(tags, plan, since=since, at=at)


# --- who made it, and who answers for it ----------------------------------------------------------


def provenance_request(
    *, connection: EhrConnection, provenance: Mapping[str, Any], written: str
) -> WireRequest | None:
    """The exact request that files a Provenance about `written`; None where this EHR takes none. No network."""
    adapter = _adapter(connection)
    if not adapter.capabilities.provenance:
        return None
    return adapter.provenance_request(provenance, written=written)


def find_provenance(*, connection: EhrConnection, written: str, key: str) -> str | None:
    """The reference of the Provenance about `written` that carries `key`; None if there is none."""
    return _adapter(connection, with_key=True).find_provenance(written=written, key=key)


# --- from row to adapter -------------------------------------------------------------------------


def _adapter(
    connection: EhrConnection, *, with_key: bool = False, deadline: float | None = None
) -> registry.EhrAdapter:
    """The connection's adapter for one call; the key goes along only where the network is used."""
    values = _values(connection)
    if with_key:
        _check_egress(connection)
        private_key, secrets = _credential(connection.credential_ref)
        values = replace(values, private_key_pem=private_key, secrets=secrets)
    if deadline is not None:
        values = replace(
            values,
            deadline=min(values.deadline, deadline),
            connect_timeout=min(values.connect_timeout, deadline),
            read_timeout=min(values.read_timeout, deadline),
        )
    return registry.get_adapter(values)


def _values(connection: EhrConnection) -> Connection:
    """The row as the contract's value, without its key."""
    return Connection(
        kind=connection.kind,
        base_url=connection.base_url.rstrip("/"),
        token_url=connection.token_url,
        client_id=connection.client_id,
        id=str(connection.pk),
        name=connection.name,
        environment=connection.environment.lower(),
        credential_ref=connection.credential_ref,
        alg=connection.alg,
        settings=connection.settings,
        time_zone=connection.time_zone,
        connect_timeout=connection.connect_timeout_seconds,
        read_timeout=connection.read_timeout_seconds,
        deadline=settings.EHR_TIMEOUT_SECONDS,
        quarantine=QuarantineBounds(
            token_life_seconds=connection.token_life_seconds,
            processing_bound_seconds=connection.processing_bound_seconds,
            index_lag_seconds=connection.index_lag_seconds,
        ),
        staged_patience_days=connection.staged_patience_days,
        capabilities=(
            CapabilitySet.from_json(connection.capabilities) if connection.capabilities else None
        ),
    )


def _credential(name: str) -> tuple[str, dict[str, str]]:
    """The private key of this name, and the other secrets beside it.

    The file is the key as PEM, or a JSON object of texts: "private_key" and whatever else the adapter asks
    for by name. The name is no path: a key folder is not to be walked out of.
    """
    if not _KEY_NAME.fullmatch(name):
        raise AdapterMisconfigured("The connection names no key.")
    try:
        text = (Path(settings.KEY_DIR) / name).read_text()
    except OSError:
        raise AdapterMisconfigured(f"The key “{name}” is not in the key folder.") from None
    if not text.lstrip().startswith("{"):
        return text, {}
    try:
        held = json.loads(text)
    except ValueError:
        held = None
    if not isinstance(held, dict) or not all(isinstance(each, str) for each in held.values()):
        raise AdapterMisconfigured(f"The key “{name}” is no JSON object of texts.")
    return held.pop("private_key", ""), held


def check_credential(*, connection: EhrConnection) -> None:
    """Raise AdapterMisconfigured unless the connection's key, if it needs one, can be read."""
    if connection.token_url or connection.credential_ref:
        _credential(connection.credential_ref)


def _check_egress(connection: EhrConnection) -> None:
    """Test and live systems are reached only where the installation lists their hosts."""
    if connection.environment == Environment.SANDBOX:
        return
    further = registry.further_addresses(connection.kind, connection.settings)
    for address in (connection.base_url, connection.token_url, *further):
        if address and urlsplit(address).hostname not in settings.EHR_EGRESS_HOSTS:
            raise AdapterMisconfigured("The EHR's host is not on EHR_EGRESS_HOSTS.")
