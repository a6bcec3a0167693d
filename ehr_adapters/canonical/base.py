"""The public face of the canonical model: what can be said about a chart, in no vendor's dialect.

change = parse_change("problem", "create", content)      # or ChangeInvalid, with pointers
fields("problem", "create"), json_schema("problem")      # what may be said, for forms and agents
changed_fields("problem", before, after)                 # what is different, compared as its type
"""

from ehr_adapters.canonical.characters import (
    Segment,
    forbidden_characters,
    is_invisible,
    unwritable_characters,
    visible,
    visible_text,
)
from ehr_adapters.canonical.comparing import (
    changed_fields,
    comparison_json,
    comparison_key,
    normal_text,
    same_value,
    words,
)
from ehr_adapters.canonical.declaration import (
    ChangeInvalid,
    ChangeIssue,
    ChartChange,
    ChartField,
    Column,
    Comparison,
    Control,
    FieldSpec,
    Interaction,
    InteractionRule,
    Owner,
    Risk,
    all_kinds,
    change_risk,
    fhir_type,
    fhir_type_of,
    fhir_types,
    field_spec,
    fields,
    interactions,
    kind_label,
    kind_model,
    kind_names,
    makes_entry,
)
from ehr_adapters.canonical.parsing import parse_change, read_change
from ehr_adapters.canonical.schema import json_schema
from ehr_adapters.canonical.types import Code

__all__ = [
    "ChangeInvalid",
    "ChangeIssue",
    "ChartChange",
    "ChartField",
    "Code",
    "Column",
    "Comparison",
    "Control",
    "FieldSpec",
    "Interaction",
    "InteractionRule",
    "Owner",
    "Risk",
    "Segment",
    "all_kinds",
    "change_risk",
    "changed_fields",
    "comparison_json",
    "comparison_key",
    "fhir_type",
    "fhir_type_of",
    "fhir_types",
    "field_spec",
    "fields",
    "forbidden_characters",
    "interactions",
    "is_invisible",
    "json_schema",
    "kind_label",
    "kind_model",
    "kind_names",
    "makes_entry",
    "normal_text",
    "parse_change",
    "read_change",
    "same_value",
    "unwritable_characters",
    "visible",
    "visible_text",
    "words",
]
