"""How a patient is reached: telephone, e-mail, address. Who the patient is stays as it is. Pure.

Fields: athenahealth API, Patient. Lengths: athenahealth API, Best Practices and Troubleshooting (most fields 20
characters, e-mail 50, a line of the address 100, the town 30, the postal code 10).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ehr_adapters.canonical.base import ChartChange
from ehr_adapters.canonical.demographics import IDENTITY
from ehr_adapters.errors import Issue
from ehr_adapters.vendors.athenahealth.speech import (
    CannotBeSaid,
    Destination,
    Dialect,
    Practice,
    Remark,
    Said,
    Shape,
    kept,
    unsaid,
)

_PHONES = {"home": "homephone", "mobile": "mobilephone", "work": "workphone"}
_LONGEST = {
    "homephone": 20, "mobilephone": 20, "workphone": 20, "email": 50, "address1": 100, "address2": 100,
    "city": 30, "state": 10, "zip": 10,
}  # fmt: skip
_PLACES = dict.fromkeys(_PHONES.values(), "/phone") | {"email": "/email"}


def _say(change: ChartChange, to: Destination) -> Said:
    content = change.model_dump_canonical()
    remarks = list(_unsaid(content))
    issues = list(_unfit(content, to.held))
    fields: list[tuple[str, str]] = []
    if content.get("phone"):
        fields += _phones(content["phone"], to.held.get("phone") or (), issues)
    if content.get("email"):
        fields.append(("email", content["email"]))
    if content.get("address"):
        fields += _address(content["address"], to.before, issues, remarks)
    for name, value in fields:
        if len(value) > _LONGEST[name]:
            issues.append(
                Issue(
                    "too-long",
                    _PLACES.get(name, "/address"),
                    f"This has {len(value)} characters; athenaOne takes at most {_LONGEST[name]}.",
                )
            )
    if not fields and not issues:
        issues.append(Issue("empty", "", "Nothing of this change can be sent to athenaOne."))
    if issues:
        raise CannotBeSaid(issues)
    return Said(
        "PUT",
        f"patients/{to.chart.patient}",
        (("departmentid", to.chart.department), *fields),
        "update patient",
        tuple(remarks),
    )


def _unfit(content: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[Issue]:
    for name in sorted(IDENTITY & set(content)):
        if content[name] != held.get(name):
            yield Issue(
                "unsupported", f"/{name}", "Who a patient is, is changed in athenaOne itself."
            )
    for name in ("phone", "email"):
        if name in content and content[name] is None:
            yield Issue("unsupported", f"/{name}", "athenaOne is not known to take this away.")


def _phones(
    phones: list[dict[str, Any]], held: Any, issues: list[Issue]
) -> Iterator[tuple[str, str]]:
    uses = [one.get("use") or "home" for one in phones]
    if len(uses) != len(set(uses)):
        issues.append(
            Issue(
                "unsupported",
                "/phone",
                "athenaOne keeps one number at home, one mobile, one at work.",
            )
        )
    if {one.get("use") or "home" for one in held} - set(uses):
        issues.append(
            Issue(
                "unsupported",
                "/phone",
                "athenaOne is not known to take a number away: name it as well.",
            )
        )
    for use, one in zip(uses, phones, strict=True):
        yield _PHONES[use], one["number"]


def _address(
    address: Mapping[str, Any],
    before: Mapping[str, Any],
    issues: list[Issue],
    remarks: list[Remark],
) -> Iterator[tuple[str, str]]:
    lines = (address.get("lines") or "").split("\n") if address.get("lines") else []
    if len(lines) > 2:
        issues.append(Issue("unsupported", "/address", "athenaOne keeps two lines of an address."))
    said = {
        **dict(zip(("address1", "address2"), lines, strict=False)),
        **{
            name: address[key]
            for name, key in (("city", "city"), ("state", "state"), ("zip", "postal_code"))
            if address.get(key)
        },
    }
    left = [name for name in ("address1", "address2", "city", "state", "zip") if before.get(name)]
    if set(left) - set(said):
        issues.append(
            Issue(
                "unsupported",
                "/address",
                "A part of the old address would stay: say the whole address.",
            )
        )
    if address.get("country"):
        remarks.append(unsaid("/address", "The country is not sent to athenaOne."))
    yield from said.items()


def _unsaid(content: Mapping[str, Any]) -> Iterator[Remark]:
    for name, words in (("language", "The language"), ("contacts", "The contacts")):
        if name in content:
            yield unsaid(
                f"/{name}",
                f"{words} is not sent to athenaOne.".replace("contacts is", "contacts are"),
            )
    if any(not one.get("use") for one in content.get("phone") or ()):
        yield Remark("replaced", "/phone", "A number without a place is kept as the one at home.")
    if content.get("sensitivity", "normal") != "normal":
        yield unsaid("/sensitivity", "athenaOne does not take the sensitivity label from outside.")


def _after(place: str, fields: Mapping[str, str], before: Mapping[str, Any]) -> Shape:
    del place
    return kept({**before, **{name: fields[name] for name in _LONGEST if name in fields}})


def _shape(entry: Mapping[str, Any]) -> Shape:
    return kept({name: str(entry.get(name) or "") for name in _LONGEST})


def _read(shape: Shape, practice: Practice) -> dict[str, Any]:
    del practice
    content: dict[str, Any] = {}
    phones = [
        {"number": shape[name], "use": use} for use, name in _PHONES.items() if shape.get(name)
    ]
    if phones:
        content["phone"] = phones
    if shape.get("email"):
        content["email"] = shape["email"]
    lines = [shape[name] for name in ("address1", "address2") if shape.get(name)]
    address = {"lines": "\n".join(lines)} if lines else {}
    for name, key in (("city", "city"), ("state", "state"), ("zip", "postal_code")):
        if shape.get(name):
            address[key] = shape[name]
    if address:
        content["address"] = address
    return content


CONTACT = Dialect(
    type_name="Patient",
    say=_say,
    after=_after,
    shape=_shape,
    read=_read,
    number_of=lambda entry: str(entry.get("patientid") or ""),
)
