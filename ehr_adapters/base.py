"""What every adapter answers, and nothing else: what can you do, what is there now, how would you say
this, please do it, did you do it? The default answer to any feature is no."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ehr_adapters.canonical.base import (
    ChartChange,
    Comparison,
    field_spec,
    fields,
    kind_label,
    words,
)
from ehr_adapters.capabilities import Capability, CapabilitySet, VersionCheck
from ehr_adapters.contract import (
    AccessToken,
    Baseline,
    Connection,
    CopyCard,
    FindResult,
    NameAlikes,
    PatientIdentity,
    ReadRequest,
    Remark,
    Snapshot,
    Tag,
    WirePlan,
    WireRequest,
    WriteReceipt,
)
from ehr_adapters.errors import AdapterMisconfigured, CannotBeCarried, Issue, Unsupported
from ehr_adapters.repertoire import fit_to_repertoire

# Settings that only a probe may set: they strengthen a retry class.
PROBED_SETTINGS = frozenset(
    {
        "conditional_create_probed",
        "stale_if_match_probed",
        "conflict_means_version",
        "identifiers_kept_probed",
        "labels_kept_probed",
    }
)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What was proven, as settings of the connection, and how; what is unproven keeps its weaker class."""

    settings: Mapping[str, str | bool]
    evidence: tuple[str, ...]

    def applied_to(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """A connection's settings with what the probe proved; what it did not prove is taken back."""
        kept = {n: v for n, v in settings.items() if n not in PROBED_SETTINGS}
        return {**kept, **self.settings}


class Settings(BaseModel):
    """What a connection may set for its adapter; never a secret. Unknown settings are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class EhrAdapter(ABC):
    """One EHR's dialect. An instance serves one connection and is cheap to make."""

    kind: ClassVar[str]
    version: ClassVar[str]
    vendor: ClassVar[str]
    Settings: ClassVar[type[Settings]] = Settings
    places: ClassVar[Mapping[str, str]] = {}
    # Settings with which an interface beside the usual one is set up, by what it is called: the page of
    # capabilities lists what such a connection says otherwise.
    set_up: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # What `read` can look for beside a change (`ReadRequest.context`).
    contexts: ClassVar[Collection[str]] = ("allergies", "medications", "results")

    def __init__(self, connection: Connection) -> None:
        if connection.kind != self.kind:
            raise AdapterMisconfigured(f"This is no connection of kind {self.kind}.")
        self.connection = connection
        try:
            self.settings = self.Settings.model_validate(dict(connection.settings))
        except ValidationError as refused:
            places = ", ".join(
                "/".join(str(part) for part in error["loc"]) for error in refused.errors()
            )
            raise AdapterMisconfigured(
                f"The connection's settings cannot be used: {places}."
            ) from None
        self.capabilities = self._narrowed(self.declared(self.settings))

    # --- what can you do ---

    @classmethod
    @abstractmethod
    def declared(cls, settings: Any) -> CapabilitySet:
        """All that this adapter can say, given a connection's settings."""

    @classmethod
    def further_addresses(cls, settings: Any) -> tuple[str, ...]:
        """Where a connection speaks to beside its base and its token address, by its settings."""
        del settings
        return ()

    def _narrowed(self, declared: CapabilitySet) -> CapabilitySet:
        """What the last look at the EHR's own statement took away; it never opens what is not declared.

        Only the narrowing is taken over: everything else follows the adapter and the settings of today.
        """
        found = self.connection.capabilities
        if found is None:
            # Nobody has asked this EHR yet whether it takes a Provenance.
            return declared.narrowed({}, found_at=declared.found_at, evidence=declared.evidence)
        changed: dict[tuple[str, str], dict[str, Any]] = {}
        for capability in declared:
            seen = found.lookup(capability.kind, capability.interaction)
            if not capability.supported:
                continue
            if seen is None or not seen.supported:
                changed[capability.key] = {
                    "supported": False,
                    "sentence": (seen.sentence if seen else "")
                    or "The EHR did not offer this when it was last asked.",
                }
                continue
            weaker: dict[str, Any] = {}
            if capability.conditional_create and not seen.conditional_create:
                weaker |= {"conditional_create": False, "retry": capability.retry.unfenced}
            if capability.version_check is not seen.version_check is VersionCheck.NONE:
                weaker |= {"version_check": VersionCheck.NONE, "retry": capability.retry.unfenced}
            changed[capability.key] = weaker
        return declared.narrowed(
            changed,
            found_at=found.found_at,
            evidence=found.evidence,
            provenance=found.provenance,
        )

    @abstractmethod
    def discover(self, *, at: datetime) -> CapabilitySet:
        """The declaration narrowed by what this tenant's EHR says of itself, with date and evidence."""

    def probe(self, *, patient: str, at: datetime) -> ProbeResult:
        """What the EHR really does, tried by writing to a patient for tests. By default nothing is tried."""
        del patient, at
        raise Unsupported(f"A connection to {self.vendor} has nothing that can be tried.")

    # --- what is there now ---

    @abstractmethod
    def read(self, request: ReadRequest) -> Baseline:
        """What the EHR holds around one change.

        Raises a branch of `NotSent` or `Refused` when patient, visit or target could not be read;
        "there is none" is `Baseline.missing`.
        """

    @abstractmethod
    def read_entry(self, *, kind: str, reference: str, at: datetime) -> Snapshot | None:
        """One entry by its reference; None when the EHR says that there is none."""

    @abstractmethod
    def find_name_alikes(self, identity: PatientIdentity, *, at: datetime) -> NameAlikes:
        """Other patients who could be taken for this one."""

    # --- how would you say this ---

    def render(self, change: ChartChange, *, tag: Tag, baseline: Baseline) -> WirePlan:
        """The exact requests that would say this change, frozen; no network.

        Raises `Unsupported` where this EHR has no safe way, `CannotBeCarried` with the places where this
        content does not fit.
        """
        capability = self.capabilities.get(change.kind, change.interaction)
        self._check_baseline(change, capability=capability, baseline=baseline)
        completed = self._completed(change, capability=capability, baseline=baseline)
        fitted, replaced = fit_to_repertoire(completed, capability=capability)
        self._check_lengths(fitted, capability=capability)
        plan = self._render(fitted, capability=capability, tag=tag, baseline=baseline)
        beside = [
            Remark(one.code, one.pointer, one.sentence)
            for one in fitted.stands_beside(_neighbours(change, baseline))
        ]
        return replace(plan, remarks=(*plan.remarks, *replaced, *beside))

    @abstractmethod
    def _render(
        self, change: ChartChange, *, capability: Capability, tag: Tag, baseline: Baseline
    ) -> WirePlan: ...

    @abstractmethod
    def parse(self, plan: WirePlan) -> ChartChange:
        """What the frozen bytes say; for an update the whole entry as it will stand."""

    def _check_baseline(
        self, change: ChartChange, *, capability: Capability, baseline: Baseline
    ) -> None:
        issues = []
        if baseline.identity is None:
            issues.append(Issue("patient-unknown", "", "The patient is not known to the EHR."))
        elif baseline.identity.merged:
            issues.append(
                Issue("patient-merged", "", "The patient's record is now part of another record.")
            )
        visit = baseline.visit
        identity = baseline.identity
        if identity and visit and visit.patient != identity.reference:
            issues.append(
                Issue("visit-of-another", "/encounter", "The visit belongs to another patient.")
            )
        if change.rule.needs_target:
            issues += self._target_issues(change, baseline=baseline)
        issues += [
            Issue(one.code, one.pointer, one.sentence)
            for one in change.refused_beside(_neighbours(change, baseline))
        ]
        if issues:
            raise self._cannot(change, issues)
        del capability

    def _target_issues(self, change: ChartChange, *, baseline: Baseline) -> list[Issue]:
        target = baseline.target
        if target is None:
            return [Issue("target-unknown", "", "The entry to change is not known to the EHR.")]
        if baseline.identity is not None and target.patient != baseline.identity.reference:
            return [Issue("target-of-another", "", "The entry belongs to another patient.")]
        issues = [
            Issue(i.code, i.pointer, i.sentence) for i in change.conflicts_with(target.canonical)
        ]
        if not target.tags:
            issues += [
                Issue(
                    "foreign-entry",
                    f"/{name}",
                    f"{field_spec(change.kind, name).label} is changed only where the portal made the entry.",
                )
                for name in sorted(change.named_fields & change.own_words)
            ]
        named = change.model_dump_canonical().get("amends", target.reference)
        if named != target.reference:
            issues.append(
                Issue("contradiction", "/amends", "The change names another note than its target.")
            )
        return issues

    def _completed(
        self, change: ChartChange, *, capability: Capability, baseline: Baseline
    ) -> ChartChange:
        visit = baseline.visit
        times = (visit.start, visit.end) if visit is not None else None
        if visit and times and change.rule.makes_entry and change.belongs_to(visit=times):
            change = change.completed(encounter=visit.reference)
        change = change.completed(**change.reckoned())
        misfits = change.misfits(at=baseline.read_at, visit=times)
        if misfits:
            raise self._cannot(
                change, [Issue(one.code, one.pointer, one.sentence) for one in misfits]
            )
        if capability.needs_encounter and "encounter" not in change.named_fields:
            raise self._cannot(
                change,
                [Issue("missing", "/encounter", f"{self.vendor} files this only in a visit.")],
            )
        return change

    def _check_lengths(self, change: ChartChange, *, capability: Capability) -> None:
        content = change.model_dump_canonical()
        issues = []
        for pointer, most in capability.length_caps:
            value = content.get(pointer.removeprefix("/"))
            length = len(value) if isinstance(value, str) else _text_length(value)
            if length > most:
                label = field_spec(change.kind, pointer).label
                issues.append(
                    Issue(
                        "too-long",
                        pointer,
                        f"{label} has {length} characters; {self.vendor} takes at most {most}.",
                    )
                )
        if issues:
            raise self._cannot(change, issues)

    def _cannot(self, change: ChartChange, issues: Sequence[Issue]) -> CannotBeCarried:
        return CannotBeCarried(
            " ".join(issue.sentence for issue in issues),
            connection_kind=self.kind,
            interaction=f"{change.kind} {change.interaction}",
            issues=issues,
        )

    # --- please do it ---

    @abstractmethod
    def authenticate(self, step: WireRequest) -> AccessToken:
        """A fresh token for the step's own narrow scope."""

    @abstractmethod
    def submit(
        self, step: WireRequest, *, token: AccessToken, earlier: Sequence[WriteReceipt] = ()
    ) -> WriteReceipt:
        """Sends one step once. Returns only what the capability counts as acknowledged; raises otherwise."""

    # --- did you do it ---

    @abstractmethod
    def find(
        self, tags: Sequence[Tag], plan: WirePlan, *, since: datetime, at: datetime
    ) -> FindResult:
        """Looks for what was sent. An error while looking is `complete=False`, never absence."""

    # --- who made it, and who answers for it ---

    def provenance_request(self, provenance: Mapping[str, Any], *, written: str) -> WireRequest:
        """The exact request that files a FHIR Provenance beside the entry that it is about.

        `written` is that entry's reference, or its bare type while its id is not known: then the id is the
        request's one slot, filled with what the EHR answered the write with. No network.
        """
        del provenance, written
        raise Unsupported(f"{self.vendor} takes no Provenance from outside.")

    def find_provenance(self, *, written: str, key: str) -> str | None:
        """The reference of the Provenance about `written` whose `meta.tag` carries `key`; None if there is none.

        Raises the adapters' errors when it could not look everywhere.
        """
        del written, key
        raise Unsupported(f"{self.vendor} takes no Provenance from outside.")

    # --- what a person can do instead ---

    def copy_card(
        self, change: ChartChange, *, baseline: Baseline | None = None, sentence: str = ""
    ) -> CopyCard:
        """The exact words and values for typing this change into the EHR by hand."""
        del baseline
        content = change.model_dump_canonical()
        lines: list[tuple[str, str]] = []
        for spec in fields(change.kind, change.interaction):
            if spec.name not in content or spec.portal_only:
                continue
            value = content[spec.name]
            if spec.compare is Comparison.SECTIONS:
                lines += [(section["title"], section["text"]) for section in value]
            else:
                lines.append((spec.label, words(change.kind, spec.name, value)))
        if not sentence:
            capability = self.capabilities.lookup(change.kind, change.interaction)
            sentence = capability.sentence if capability else ""
        return CopyCard(
            title=f"{kind_label(change.kind)}: {change.rule.meaning}",
            ehr=self.vendor,
            place=self.places.get(
                f"{change.kind} {change.interaction}", self.places.get(change.kind, "")
            ),
            lines=tuple(lines),
            sentence=sentence or f"This cannot be written to {self.vendor}.",
        )


def _neighbours(change: ChartChange, baseline: Baseline) -> list[Mapping[str, Any]]:
    return [one.canonical for one in baseline.neighbours(change.kind)]


def _text_length(value: Any) -> int:
    if isinstance(value, list):
        return sum(len(s.get("title", "")) + len(s.get("text", "")) for s in value)
    return 0
