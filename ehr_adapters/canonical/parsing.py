"""From unchecked content to a change, or to every reason why it is none. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.declaration import (
    ChangeInvalid,
    ChangeIssue,
    ChartChange,
    ChartField,
    Column,
    Control,
    Interaction,
    InteractionRule,
    columns_of,
    declared_fields,
    interaction_rule,
    kind_model,
)


def parse_change(kind: str, interaction: str, content: Mapping[str, Any]) -> ChartChange:
    """The change that `content` says, or `ChangeInvalid` with every reason why it says none.

    Bare codes and ids are completed ("11506-3" is a LOINC code, "e-7" an Encounter), the fields that the
    interaction itself fixes are filled, line ends become "\\n". Nothing else is altered, nothing ignored.
    """
    model = kind_model(kind)
    rule = interaction_rule(model, interaction)
    if not isinstance(content, Mapping):
        raise ChangeInvalid(
            [ChangeIssue("", "wrong-type", "The content of a change is an object.")]
        )
    declared = declared_fields(model)
    issues: list[ChangeIssue] = []
    for name in content:
        if name not in declared:
            issues.append(
                ChangeIssue(_pointer((name,)), "unknown-field", "The kind has no such field.")
            )
        elif name not in rule.allowed:
            issues.append(
                ChangeIssue(
                    _pointer((name,)),
                    "not-in-this-interaction",
                    f"{declared[name].label} is not part of “{interaction}”.",
                )
            )
    expanded = {
        n: _expanded(_narrowed(declared[n], model.systems_of(n, content)), v)
        for n, v in content.items()
        if n in declared and n in rule.allowed
    }
    for name, value in expanded.items():
        if value is None and name not in rule.removable:
            issues.append(
                ChangeIssue(_pointer((name,)), "missing", f"{declared[name].label} needs a value.")
            )
    for name, value in rule.fixed:
        if expanded.get(name, value) != value:
            issues.append(
                ChangeIssue(
                    _pointer((name,)),
                    "contradicts-interaction",
                    f"{declared[name].label} follows from “{interaction}”.",
                )
            )
        expanded[name] = value
    issues += [
        ChangeIssue(_pointer((name,)), "missing", f"{declared[name].label} is needed.")
        for name in sorted(rule.required - expanded.keys())
    ]
    try:
        change = model.model_validate({**expanded, "interaction": Interaction(interaction)})
    except ValidationError as refused:
        raise ChangeInvalid([*issues, *_issues_of(refused)]) from None
    canonical = change.model_dump_canonical()
    issues += _field_issues(declared=declared, rule=rule, content=canonical)
    if not issues:
        issues += model.own_issues(interaction=Interaction(interaction), content=canonical)
    if issues:
        raise ChangeInvalid(issues)
    return change


def read_change(kind: str, interaction: str, content: Mapping[str, Any]) -> ChartChange:
    """A change that was read back from a chart or a frozen plan: every field's type holds, no rule of
    an interaction is asked."""
    model = kind_model(kind)
    try:
        return model.model_validate({**content, "interaction": Interaction(interaction)})
    except ValidationError as refused:
        raise ChangeInvalid(_issues_of(refused)) from None


def _narrowed(declared: ChartField, systems: tuple[str, ...]) -> ChartField:
    return replace(declared, systems=systems) if systems else declared


def _expanded(declared: Column, value: Any) -> Any:
    part = declared.part if isinstance(declared, ChartField) else None
    if part is not None:
        columns = dict(columns_of(part))
        if isinstance(value, Mapping):
            return {n: _expanded(columns[n], v) if n in columns else v for n, v in value.items()}
        return [_expanded(declared, one) for one in value] if isinstance(value, list) else value
    if declared.systems:
        if declared.control is Control.CODES and isinstance(value, (str, Mapping)):
            return [_expanded_code(declared, value)]
        if isinstance(value, list):
            return [_expanded_code(declared, one) for one in value]
        return _expanded_code(declared, value)
    if declared.refers_to:
        if isinstance(value, list):
            return [_expanded(declared, one) for one in value]
        if isinstance(value, str) and "/" not in value and not declared.or_text:
            return f"{declared.refers_to[0]}/{value}"
    return value


def _expanded_code(declared: Column, value: Any) -> Any:
    if isinstance(value, str):
        found = next(
            (s for s in declared.systems if codes.is_well_formed(system=s, code=value)), ""
        )
        if declared.or_text and not found:
            # Where words may stand instead of a code, what is no code is the words.
            return value
        value = {"system": found or declared.systems[0], "code": value}
    if isinstance(value, Mapping):
        # The code is what counts: where the portal knows its display, nobody else's words stand beside it.
        known = codes.display_of(system=str(value.get("system")), code=str(value.get("code")))
        if known:
            return {**value, "display": known}
    return value


def _field_issues(
    *, declared: Mapping[str, ChartField], rule: InteractionRule, content: Mapping[str, Any]
) -> Iterable[ChangeIssue]:
    choices = dict(rule.choices)
    for name, value in content.items():
        spec = declared[name]
        if value is None:
            continue
        if name in choices and isinstance(value, str) and value not in choices[name]:
            yield ChangeIssue(
                _pointer((name,)),
                "not-in-this-interaction",
                f"{spec.label} cannot be set to this by “{rule.meaning or 'this interaction'}”.",
            )
        yield from _value_issues(spec, value, (name,))


def _value_issues(spec: Column, value: Any, place: tuple[str | int, ...]) -> Iterable[ChangeIssue]:
    """What the declaration forbids of a value whose type holds."""
    if isinstance(value, list):
        for index, one in enumerate(value):
            yield from _value_issues(spec, one, (*place, index))
        return
    part = spec.part if isinstance(spec, ChartField) else None
    if part is not None:
        for name, column in columns_of(part):
            if value.get(name) is not None:
                yield from _value_issues(column, value[name], (*place, name))
        return
    # Where words may stand instead of a reference, what is no reference is the words.
    if spec.refers_to and not spec.or_text and value.split("/", 1)[0] not in spec.refers_to:
        yield ChangeIssue(
            _pointer(place),
            "bad-reference",
            f"{spec.label} refers to a {' or a '.join(spec.refers_to)}.",
        )
    if spec.max_length and isinstance(value, str) and len(value) > spec.max_length:
        yield ChangeIssue(
            _pointer(place),
            "too-long",
            f"{spec.label} has {len(value)} characters; {spec.max_length} are the most.",
        )
    if not isinstance(value, Mapping):
        return
    if spec.units:
        yield from _unit_issues(spec, value, place)
    if spec.systems and "system" in value:
        yield from _code_issues(spec, value, place)


def _unit_issues(
    spec: Column, value: Mapping[str, Any], place: tuple[str | int, ...]
) -> Iterable[ChangeIssue]:
    for name in ("low", "high"):
        if isinstance(value.get(name), Mapping):
            yield from _unit_issues(spec, value[name], (*place, name))
    if "unit" not in value or value["unit"] in spec.units:
        return
    sentence = (
        "“U” is an enzyme unit and is misread as a zero: units of insulin or heparin are [iU]."
        if value["unit"] == "U" and "[iU]" in spec.units
        else f"{spec.label} takes one of {', '.join(spec.units)}."
    )
    yield ChangeIssue(_pointer((*place, "unit")), "unknown-unit", sentence)


def _code_issues(
    spec: Column, value: Mapping[str, Any], place: tuple[str | int, ...]
) -> Iterable[ChangeIssue]:
    if value["system"] not in spec.systems:
        yield ChangeIssue(
            _pointer((*place, "system")),
            "unknown-system",
            f"{spec.label} takes {' or '.join(codes.SYSTEM_NAMES[s] for s in spec.systems)}.",
        )
    elif not codes.is_well_formed(system=value["system"], code=value["code"]):
        yield ChangeIssue(
            _pointer((*place, "code")),
            "malformed-code",
            f"This is no {codes.SYSTEM_NAMES[value['system']]} code (form or check digit).",
        )
    elif spec.options and value["code"] not in spec.options:
        yield ChangeIssue(
            _pointer((*place, "code")),
            "unknown-code",
            f"{spec.label} takes one of {', '.join(spec.options)}.",
        )


_ISSUE_CODES = {
    "extra_forbidden": ("unknown-field", "There is no such field here."),
    "missing": ("missing", "This is needed."),
    "literal_error": ("unknown-code", "This is none of the values that are possible here."),
}


def _issues_of(refused: ValidationError) -> list[ChangeIssue]:
    issues = [_issue_of(error) for error in refused.errors(include_url=False, include_input=False)]
    # A field that takes a code or words is tried as both; only the branch that went deeper is told.
    return [
        issue
        for issue in issues
        if issue.code != "wrong-type"
        or not any(other.pointer.startswith(issue.pointer + "/") for other in issues)
    ]


def _issue_of(error: Mapping[str, Any]) -> ChangeIssue:
    kind = str(error["type"])
    code, sentence = _ISSUE_CODES.get(kind, ("wrong-type", "The value has the wrong type."))
    if "-" in kind or kind == "empty":
        code, sentence = kind, str(error["msg"])
    elif kind == "string_too_long":
        code, sentence = (
            "too-long",
            f"At most {error['ctx']['max_length']} characters are possible.",
        )
    # A union names its branch in the location; only names and indices of the content belong there.
    return ChangeIssue(_pointer(p for p in error["loc"] if p not in _BRANCHES), code, sentence)


_BRANCHES = {
    "bool",
    "int",
    "Code",
    "Quantity",
    "QuantityRange",
    "Measured",
    "str",
    "function-after",
    "nullable",
}


def _pointer(parts: Iterable[str | int]) -> str:
    return "".join(
        "/" + str(part)[:64].replace("~", "~0").replace("/", "~1")
        for part in parts
        if not str(part).startswith("function-")
    )
