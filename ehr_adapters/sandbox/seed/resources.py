"""How the practice writes things down in FHIR: small builders for seeded entries."""

import base64
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ehr_adapters.sandbox.searching import PRACTICE_ZONE

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10 = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"
HL7 = "http://terminology.hl7.org/CodeSystem"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """The start of the demo, and dates and times counted back from it in the practice's zone."""

    at: datetime

    def day(self, days_ago: int) -> date:
        """The practice's calendar day so many days before."""
        return self.at.astimezone(PRACTICE_ZONE).date() - timedelta(days=days_ago)

    def minutes(self, offset: int) -> str:
        """A time so many minutes from the start, on the minute."""
        moment = (self.at + timedelta(minutes=offset)).astimezone(PRACTICE_ZONE)
        return moment.replace(second=0, microsecond=0).isoformat()

    def clock(self, days_ago: int, time: str) -> str:
        """A time of day ("07:40"), so many days before."""
        hour, minute = time.split(":")
        day = self.day(days_ago)
        return datetime(
            day.year, day.month, day.day, int(hour), int(minute), tzinfo=PRACTICE_ZONE
        ).isoformat()

    def birthday(self, born: str | int) -> str:
        """A birth date as given, or that of somebody who is so many years old today."""
        if isinstance(born, str):
            return born
        today = self.day(0)
        return f"{today.year - born:04d}-{today.month:02d}-{min(today.day, 28):02d}"


def coding(system: str, code: str, display: str = "") -> Json:
    """One coding."""
    return {"system": system, "code": code} | ({"display": display} if display else {})


def concept(*codings: Json, text: str = "") -> Json:
    """A CodeableConcept."""
    return {"coding": list(codings)} | ({"text": text} if text else {})


def reference(type: str, fhir_id: str, display: str = "") -> Json:
    """A literal reference."""
    return {"reference": f"{type}/{fhir_id}"} | ({"display": display} if display else {})


def quantity(value: str, unit: str, code: str, comparator: str = "") -> Json:
    """A UCUM quantity with the digits as written."""
    result: Json = {"value": Decimal(value)}
    if comparator:
        result["comparator"] = comparator
    return result | {"unit": unit, "system": UCUM, "code": code}


def status(system: str, code: str) -> Json:
    """A status concept of HL7's own code systems."""
    return concept(coding(f"{HL7}/{system}", code))


def text_attachment(text: str, title: str) -> Json:
    """A plain-text attachment."""
    data = text.encode("utf-8")
    return {
        "contentType": "text/plain; charset=utf-8",
        "data": base64.b64encode(data).decode(),
        "title": title,
        "size": len(data),
    }


def pdf_attachment(lines: list[str], title: str) -> Json:
    """A one-page PDF that shows the lines (ASCII only)."""
    data = _pdf(lines)
    return {
        "contentType": "application/pdf",
        "data": base64.b64encode(data).decode(),
        "title": title,
        "size": len(data),
    }


def _pdf(lines: list[str]) -> bytes:
    """The smallest honest PDF 1.4: one page, one font, one line under the other."""
    escaped = [line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)") for line in lines]
    shown = " ".join(f"({line}) Tj T*" for line in escaped)
    stream = f"BT /F1 11 Tf 56 780 Td 15 TL {shown} ET".encode("ascii")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
            b"/Resources << /Font << /F1 5 0 R >> >> >>"
        ),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = bytearray(b"%PDF-1.4\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (
        len(objects) + 1,
        table,
    )
    return bytes(out)
