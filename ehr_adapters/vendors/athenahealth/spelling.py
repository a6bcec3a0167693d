"""Dates, times and numbers as athenaOne spells them. Pure.

Dates are mm/dd/yyyy and times hh:mm by the clock of the practice (athenahealth API, input parameters); an
entry has one number in the proprietary interface and an id around it in FHIR.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

_WHOLE = re.compile(r"(\d{2})/(\d{2})/(\d{4})")
_PARTIAL = re.compile(r"(?:(\d{2})/)?(\d{4})")


class NotSpellable(ValueError):
    """This moment has no single spelling there; the sentence says why."""


def spelt_date(date: str) -> str:
    """mm/dd/yyyy of a whole date; raises `NotSpellable` for a partial one, which stays partial."""
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        raise NotSpellable("athenaOne takes only a whole date: day, month and year.")
    return f"{date[5:7]}/{date[8:10]}/{date[:4]}"


def read_date(text: str) -> str:
    """The date of mm/dd/yyyy, mm/yyyy or yyyy; "" for anything else."""
    if whole := _WHOLE.fullmatch(text):
        return f"{whole[3]}-{whole[1]}-{whole[2]}"
    if partial := _PARTIAL.fullmatch(text):
        return f"{partial[2]}-{partial[1]}" if partial[1] else partial[2]
    return ""


def spelt_moment(instant: str, zone: ZoneInfo) -> tuple[str, str]:
    """(mm/dd/yyyy, hh:mm) by the practice's clock; raises `NotSpellable` in the hour that comes twice."""
    local = datetime.fromisoformat(instant).astimezone(zone)
    wall = local.replace(tzinfo=None)
    if (
        wall.replace(tzinfo=zone, fold=0).utcoffset()
        != wall.replace(tzinfo=zone, fold=1).utcoffset()
    ):
        raise NotSpellable(
            "This hour comes twice when the clocks go back: the EHR could not tell which is meant."
        )
    return local.strftime("%m/%d/%Y"), local.strftime("%H:%M")


def read_moment(on: str, at: str, zone: ZoneInfo) -> str:
    """The instant of a date and a time by the practice's clock; "" where they are none."""
    try:
        local = datetime.strptime(f"{on} {at}", "%m/%d/%Y %H:%M").replace(tzinfo=zone)
    except ValueError:
        return ""
    return local.isoformat()


def to_the_minute(instant: str) -> bool:
    """Does an instant lie on a whole minute?"""
    moment = datetime.fromisoformat(instant)
    return moment.second == 0 and moment.microsecond == 0


@dataclass(frozen=True, slots=True)
class Numbers:
    """Between the ids of one practice's two interfaces.

    Of FHIR ids only the patient's form is known, "a-{practice}.E-{number}"; the letter of all others is a
    setting of the connection.
    """

    practice: str
    patient_letter: str = "E"
    entry_letter: str = "c"

    def number_of(self, reference: str) -> str:
        """The number of "Type/id", of a FHIR id or of a number itself; "" where there is none."""
        last = reference.rpartition("/")[2]
        found = re.fullmatch(rf"a-{self.practice}\.[A-Za-z]+-(\d{{1,12}})|(\d{{1,12}})", last)
        return (found[1] or found[2]) if found else ""

    def fhir_id(self, type_name: str, number: str) -> str:
        letter = self.patient_letter if type_name == "Patient" else self.entry_letter
        return f"a-{self.practice}.{letter}-{number}"

    def reference(self, type_name: str, number: str) -> str:
        return f"{type_name}/{self.fhir_id(type_name, number)}"
