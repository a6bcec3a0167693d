"""A client of the practice EHR's Unity interface, as plain as one can be."""

from typing import Any

import requests

from ehr_adapters.sandbox.vendors.veradigm.ids import unity_number
from tests.ehr_adapters.practice import READY_SECONDS, Practice

APPNAME = "Northgate.Portal"
SERVICE = {"Username": "svc-portal", "Password": "practice-service", "Appname": APPNAME}


class Unity:
    """One session, or none yet; every method speaks to /veradigm/Unity."""

    def __init__(self, practice: Practice, *, user: str = "areyes") -> None:
        self.practice, self.user = practice, user
        self.token = ""
        self.people = practice.directory("veradigm")

    @property
    def url(self) -> str:
        return f"{self.practice.root}/veradigm/Unity"

    def post(self, operation: str, body: Any) -> requests.Response:
        return self.practice.http.post(
            f"{self.url}/UnityService.svc/json/{operation}", json=body, timeout=READY_SECONDS
        )

    def get_token(self, **changed: str) -> str:
        return self.post("GetToken", SERVICE | changed).text

    def magic(self, action: str, *parameters: str, **parts: str) -> Any:
        """One action; the reply's JSON, always with HTTP 200."""
        filled = (*parameters, *("",) * 6)[:6]
        body = {
            "Action": action,
            "AppUserID": self.user,
            "Appname": APPNAME,
            "PatientID": "",
            "Token": self.token,
            **{f"Parameter{i}": value for i, value in enumerate(filled, 1)},
            "Data": "",
        } | parts
        reply = self.post("MagicJson", body)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def sign_in(self) -> "Unity":
        """Both layers."""
        self.token = self.get_token()
        told = self.magic("GetUserAuthentication", f"practice-{self.user}")
        assert told == [{"getuserauthenticationinfo": [{"ValidUser": "YES", "ErrorMessage": ""}]}]
        return self

    def number(self, who: str = "P1") -> str:
        """Unity's number of a patient."""
        return unity_number(self.people[who]["patient"])

    def save_note(self, text: str = "Seen today.", who: str = "P1", **parts: str) -> Any:
        return self.magic(
            "SaveNote", text, "Progress Note", "Unsigned", "N", PatientID=self.number(who), **parts
        )
