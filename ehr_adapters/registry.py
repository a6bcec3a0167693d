"""Kind of connection -> adapter class. The only way to behaviour; imported by the gateway alone."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from ehr_adapters.base import EhrAdapter
from ehr_adapters.capabilities import CapabilitySet
from ehr_adapters.contract import Connection
from ehr_adapters.errors import AdapterMisconfigured
from ehr_adapters.vendors.advancedmd.adapter import AdvancedMdAdapter
from ehr_adapters.vendors.athenahealth.adapter import AthenaHealthAdapter
from ehr_adapters.vendors.eclinicalworks.adapter import EcwAdapter
from ehr_adapters.vendors.epic.adapter import EpicAdapter
from ehr_adapters.vendors.generic_r4.adapter import GenericR4Adapter
from ehr_adapters.vendors.veradigm.adapter import VeradigmAdapter

_ADAPTERS: dict[str, type[EhrAdapter]] = {
    adapter.kind: adapter
    for adapter in (
        GenericR4Adapter,
        EpicAdapter,
        AthenaHealthAdapter,
        EcwAdapter,
        VeradigmAdapter,
        AdvancedMdAdapter,
    )
}


def all_kinds() -> tuple[str, ...]:
    """The kinds of connection that can be made."""
    return tuple(_ADAPTERS)


def get_adapter(connection: Connection) -> EhrAdapter:
    """The adapter of a connection; raises `AdapterMisconfigured` for an unknown kind or unusable settings."""
    return _adapter_class(connection.kind)(connection)


def vendor_name(kind: str) -> str:
    """What a clinician calls the EHR."""
    return _adapter_class(kind).vendor


def settings_schema(kind: str) -> dict[str, Any]:
    """JSON Schema of a connection's settings."""
    return _adapter_class(kind).Settings.model_json_schema()


def check_settings(kind: str, settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(RFC 6901 pointer, sentence) for everything wrong with a connection's settings; empty when usable."""
    try:
        _adapter_class(kind).Settings.model_validate(dict(settings))
    except AdapterMisconfigured as unknown:
        return (("", str(unknown)),)
    except ValidationError as refused:
        return tuple(
            ("".join(f"/{part}" for part in error["loc"]), f"{error['msg']}.")
            for error in refused.errors(include_url=False, include_input=False)
        )
    return ()


def further_addresses(kind: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Where a connection speaks to beside its base and its token address, by its settings."""
    adapter = _adapter_class(kind)
    try:
        return adapter.further_addresses(adapter.Settings.model_validate(dict(settings)))
    except ValidationError:
        raise AdapterMisconfigured("The connection's settings cannot be used.") from None


def declared_capabilities(kind: str, settings: Mapping[str, Any] | None = None) -> CapabilitySet:
    """What the adapter of a kind can say, with the given settings or none."""
    adapter = _adapter_class(kind)
    return adapter.declared(adapter.Settings.model_validate(dict(settings or {})))


def declared_when_set_up(kind: str) -> dict[str, CapabilitySet]:
    """What the adapter of a kind can say with an interface set up beside the usual one, by its name."""
    set_up = _adapter_class(kind).set_up
    return {name: declared_capabilities(kind, settings) for name, settings in set_up.items()}


def _adapter_class(kind: str) -> type[EhrAdapter]:
    try:
        return _ADAPTERS[kind]
    except KeyError:
        raise AdapterMisconfigured("There is no adapter of this kind.") from None
