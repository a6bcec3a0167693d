"""JSON Schema 2020-12 of what an agent may send. Pure."""

from collections.abc import Mapping
from typing import Any

from ehr_adapters.canonical.declaration import (
    ChartChange,
    Comparison,
    FieldSpec,
    Interaction,
    columns_of,
    declared_fields,
    fields,
    kind_model,
)
from ehr_adapters.canonical.types import Part

_SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def json_schema(kind: str, interaction: str | None = None) -> dict[str, Any]:
    """JSON Schema 2020-12 of a kind's content for one interaction.

    Without an interaction: of `{interaction, content}`, one branch per interaction of the kind.
    """
    model = kind_model(kind)
    if interaction is not None:
        return {"$schema": _SCHEMA, **_content_schema(model, Interaction(interaction))}
    branches = []
    definitions: dict[str, Any] = {}
    for one in model.rules:
        content = _content_schema(model, one)
        definitions |= content.pop("$defs", {})
        branches.append(
            {
                "title": str(one),
                "description": model.rules[one].meaning,
                "type": "object",
                "properties": {"interaction": {"const": str(one)}, "content": content},
                "required": ["interaction", "content"],
            }
        )
    return {"$schema": _SCHEMA, "title": model.label, "oneOf": branches, "$defs": definitions}


def _content_schema(model: type[ChartChange], interaction: Interaction) -> dict[str, Any]:
    rule = model.rules[interaction]
    whole = model.model_json_schema(mode="validation")
    fixed = dict(rule.fixed)
    properties: dict[str, Any] = {}
    for spec in fields(model.kind, interaction):
        properties[spec.name] = _property_schema(
            declared=whole["properties"][spec.name], spec=spec, fixed=fixed.get(spec.name)
        )
    used: dict[str, Any] = {}
    known = {
        name: _part_schema(schema, parts[name]) if name in parts else schema
        for parts in [_parts_of(model)]
        for name, schema in whole.get("$defs", {}).items()
    }
    _collect_definitions(properties, known, used)
    return {
        "title": f"{model.label}: {interaction}",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": sorted(rule.required),
        "$defs": used,
    }


def _property_schema(
    *, declared: Mapping[str, Any], spec: FieldSpec, fixed: str | None
) -> dict[str, Any]:
    core = {k: v for k, v in declared.items() if k not in {"default", "title", "anyOf"}}
    branches = list(declared.get("anyOf", [])) or [core]
    branches = [b for b in branches if b.get("type") != "null"]
    if fixed is not None:
        branches = [{"const": fixed}]
    elif spec.compare is Comparison.EXACT and spec.choices:
        branches = [{"enum": [value for value, _ in spec.choices]}]
    elif spec.compare is Comparison.CODE and spec.systems and not spec.or_text:
        bare: dict[str, Any] = {"type": "string", "description": "A code of the default system."}
        if spec.choices:
            bare["enum"] = [value for value, _ in spec.choices]
        branches = [bare, *branches]
    elif spec.compare is Comparison.CODE_SET:
        code = {"$ref": "#/$defs/Code"}
        branches = [
            {"type": "string", "description": "A code of the default system."},
            code,
            *branches,
        ]
    if spec.removable:
        branches = [*branches, {"type": "null", "description": "Take it away."}]
    out: dict[str, Any] = dict(branches[0]) if len(branches) == 1 else {"anyOf": branches}
    out["title"] = spec.label
    out["x-risk"] = str(spec.risk)
    out["x-owner"] = str(spec.owner)
    out["x-control"] = str(spec.control)
    if spec.systems:
        out["x-systems"] = list(spec.systems)
    if spec.units:
        out["x-units"] = list(spec.units)
    if spec.max_length:
        out["maxLength"] = spec.max_length
    if spec.filled_by_portal:
        out["x-filled-by-portal"] = True
    return out


def _parts_of(model: type[ChartChange]) -> dict[str, type[Part]]:
    return {d.part.__name__: d.part for d in declared_fields(model).values() if d.part}


def _part_schema(schema: Mapping[str, Any], part: type[Part]) -> dict[str, Any]:
    """A structured value's schema with the labels of its members, and bare codes where codes may be bare."""
    properties = dict(schema["properties"])
    for name, column in columns_of(part):
        member = {k: v for k, v in properties[name].items() if k != "default"} | {
            "title": column.label
        }
        if column.systems:
            branches = member.pop("anyOf", None) or [{"$ref": member.pop("$ref")}]
            bare: dict[str, Any] = {
                "type": "string",
                "description": "A code of the default system.",
            }
            if column.options:
                bare["enum"] = list(column.options)
            member |= {"anyOf": [bare, *branches], "x-systems": list(column.systems)}
        if column.units:
            member["x-units"] = list(column.units)
        properties[name] = member
    return {**schema, "properties": properties}


def _collect_definitions(node: Any, known: Mapping[str, Any], used: dict[str, Any]) -> None:
    if isinstance(node, Mapping):
        reference = node.get("$ref", "")
        name = reference.rsplit("/", 1)[-1]
        if reference and name not in used:
            used[name] = known[name]
            _collect_definitions(known[name], known, used)
        for value in node.values():
            _collect_definitions(value, known, used)
    elif isinstance(node, list):
        for value in node:
            _collect_definitions(value, known, used)
