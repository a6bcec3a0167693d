"""The one form of a Unity request: always POST, every action with the same parts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ehr_adapters.canonical.exact_json import dumps, loads

MAGIC = "UnityService.svc/json/MagicJson"
GET_TOKEN = "UnityService.svc/json/GetToken"  # noqa: S105 - the name of an operation
JSON = "application/json"
_PARAMETERS = tuple(f"Parameter{number}" for number in range(1, 7))


@dataclass(frozen=True, slots=True)
class MagicCall:
    """One action as the adapter sees it; `parameters` are Parameter1 to Parameter6, as far as given."""

    action: str
    user: str
    patient: str = ""
    parameters: tuple[str, ...] = field(default=(), repr=False)
    data: str = field(default="", repr=False)

    def body(self, *, appname: str, token: str) -> bytes:
        """The bytes of the request, with all parts in their usual order."""
        filled = (*self.parameters, *("",) * 6)[:6]
        parts = {
            "Action": self.action,
            "AppUserID": self.user,
            "Appname": appname,
            "PatientID": self.patient,
            "Token": token,
            **dict(zip(_PARAMETERS, filled, strict=True)),
            "Data": self.data,
        }
        return dumps(parts)

    @classmethod
    def read(cls, body: bytes) -> "MagicCall":
        """The call that these bytes say."""
        parts: Mapping[str, Any] = loads(body)
        return cls(
            action=parts["Action"],
            user=parts["AppUserID"],
            patient=parts["PatientID"],
            parameters=tuple(parts[name] for name in _PARAMETERS),
            data=parts["Data"],
        )
