"""One vendor's chart while the practice is written into it: ids, names, references."""

import base64
import hashlib
import uuid
from dataclasses import dataclass, field

from ehr_adapters.sandbox import behaviour
from ehr_adapters.sandbox.models import SandboxName, SandboxResource
from ehr_adapters.sandbox.seed.people import STAFF, Person
from ehr_adapters.sandbox.seed.resources import Json, Moment, reference
from ehr_adapters.sandbox.vendors.veradigm.ids import with_unity_number

# Where each vendor's medical record number lives, and how an id looks there.
MRN_SYSTEMS = {
    behaviour.ECW: "urn:northgate:eclinicalworks:account-number",
    behaviour.ATHENA: "https://fhir.athena.io/sid/ah-patient",
    behaviour.ADVANCEDMD: "urn:northgate:advancedmd:chart-number",
    behaviour.GENERIC: "http://northgate.example/mrn",
    behaviour.EPIC: "urn:oid:1.2.840.114350.1.13.861.1.7.5.737384.14",
    behaviour.VERADIGM: "http://veradigm.example/mrn",
}
USER_SYSTEMS = {
    behaviour.ECW: "urn:northgate:eclinicalworks:user",
    behaviour.ATHENA: "http://athena-northgate.example/user",
    behaviour.ADVANCEDMD: "urn:northgate:advancedmd:user",
    behaviour.GENERIC: "http://northgate.example/user",
    behaviour.EPIC: "urn:oid:1.2.840.114350.1.13.861.1.7.2.697780",
    behaviour.VERADIGM: "http://veradigm.example/user",
}
# The number under which athenahealth keeps this practice.
PRACTICE_ID = "195900"
_NAMESPACE = uuid.UUID("6c9fd3a6-7f0d-4c55-9d1f-1f5d6a3b7f10")
DISPLAYS = {each.key: each.name for each in STAFF}


@dataclass(slots=True)
class Chart:
    """One vendor's chart while it is written."""

    vendor: str
    moment: Moment
    rows: list[tuple[SandboxResource, Json]] = field(default_factory=list)
    names: list[SandboxName] = field(default_factory=list)

    def fhir_id(self, group: str, name: str) -> str:
        """The id of a seeded entry: always the same for the same vendor, group and name."""
        plain = uuid.uuid5(_NAMESPACE, f"{self.vendor}/{group}/{name}")
        if self.vendor == behaviour.GENERIC:
            return str(plain)
        if self.vendor == behaviour.ADVANCEDMD:
            # One number for both interfaces, with letters that say of what: pat45, prof3, vis12.
            named = {"patient": "pat"}.get(name, "vis" if "visit" in name else "ehr")
            letters = "prof" if group == "staff" else named
            return f"{letters}{10_000_000 + plain.int % 90_000_000}"
        if self.vendor == behaviour.VERADIGM:
            return plain.hex
        if self.vendor == behaviour.ATHENA:
            # The other interface calls the same entry by the number alone.
            letter = "E" if name == "patient" else "c"
            return f"a-{PRACTICE_ID}.{letter}-{1_000_000 + plain.int % 9_000_000}"
        if self.vendor == behaviour.ECW:
            digest = hashlib.sha256(plain.bytes).digest()[:24]
            return base64.urlsafe_b64encode(digest).decode().replace("_", "-")
        digest = hashlib.sha256(plain.bytes).digest()[:16]
        return f"e{base64.urlsafe_b64encode(digest).decode().rstrip('=').replace('_', '-')}3"

    def file(
        self,
        group: str,
        name: str,
        content: Json,
        *,
        author: str,
        locked: bool = False,
        details: Json | None = None,
    ) -> None:
        """Adds an entry under its name."""
        fhir_id = self.fhir_id(group, name)
        if self.vendor == behaviour.VERADIGM:
            content = with_unity_number(content, fhir_id=fhir_id)
        row = SandboxResource(
            vendor=self.vendor,
            type=content["resourceType"],
            fhir_id=fhir_id,
            version=1,
            author=author,
            locked=locked,
            updated_at=self.moment.at,
        )
        self.rows.append((row, {"resourceType": content["resourceType"], "id": fhir_id} | content))
        self.names.append(
            SandboxName(
                vendor=self.vendor,
                group=group,
                name=name,
                type=row.type,
                fhir_id=fhir_id,
                details=details or {},
            )
        )

    def staff(self, key: str) -> Json:
        """A reference to a colleague, or the name of somebody outside."""
        if key not in DISPLAYS:
            return {"display": key}
        return reference("Practitioner", self.fhir_id("staff", key), DISPLAYS[key])

    def patient(self, person: Person) -> Json:
        """A reference to a patient."""
        return reference(
            "Patient", self.fhir_id(person.key, "patient"), f"{person.family}, {person.given}"
        )

    def visit(self, person: Person, name: str) -> Json:
        """A reference to a visit."""
        return reference("Encounter", self.fhir_id(person.key, name))
