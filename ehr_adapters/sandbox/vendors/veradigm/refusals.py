"""Unity's way of saying no: a text, and HTTP 200."""

from ehr_adapters.sandbox.outcomes import RequestRefused

LOGGED_OUT = "You have been logged out due to inactivity."
MALFORMED = "Object reference not set to an instance of an object."


class UnityRefused(RequestRefused):
    """Nothing was filed; the reply is `[{"Error": text}]`."""

    def __init__(self, text: str) -> None:
        super().__init__(200, "processing", text)
        self.headers = {"Content-Type": "application/json; charset=utf-8"}
        self.outcome = [{"Error": text}]  # type: ignore[assignment]  # no FHIR here
