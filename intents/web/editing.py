"""The edit form of one change, made from the declaration of its fields.

Each field's declaration says its label and control; what the form gives back is the canonical content
again, which the pipeline checks as it checks an agent's. Nothing here knows a vendor.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django import forms

from ehr_adapters.canonical import codes
from ehr_adapters.canonical.base import Control, FieldSpec, fields, kind_model, words
from intents.web.entry_fields import (
    SEPARATOR,
    STRUCTURED,
    Together,
    TypedCode,
    code_of,
    key_of,
    structured_fields,
    structured_value,
    words_of,
)

# Fields that a person does not retype: they say which visit, which note and whose words.
_FIXED = frozenset({"encounter", "amends", "author", "date", "attachments", "patient_release"})


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are shown together; `folded`: only when somebody asks for them."""

    title: str
    fields: tuple[forms.BoundField, ...]
    folded: bool = False


class ChangeForm(forms.Form):
    """The editable fields of one change, in their order of reading."""

    def __init__(
        self,
        *args: Any,
        kind: str,
        interaction: str,
        content: Mapping[str, Any],
        known_codes: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.kind, self.interaction, self.content = kind, interaction, dict(content)
        self.specs = {
            s.name: s
            for s in fields(kind, interaction)
            if s.name not in _FIXED
            and s.control not in {Control.REFERENCE, Control.REFERENCES}
            and (s.name in self.content or s.name not in kind_model(kind).not_asked(self.content))
        }
        self._together: list[Together] = []
        for name, spec in self.specs.items():
            value = self.content.get(name)
            if spec.control is Control.SECTIONS:
                self._add_sections(value or [])
            elif spec.control in STRUCTURED:
                for together in structured_fields(spec, value):
                    self._together.append(together)
                    self.fields.update(together.fields)
            else:
                self.fields[name] = _field(spec, value, known_codes or {})
                if spec.control is Control.CODES:
                    names = " or ".join(codes.SYSTEM_NAMES[system] for system in spec.systems)
                    self.fields[f"{name}-other"] = TypedCode(
                        spec,
                        label=f"Another code ({names})",
                        help_text="Its words are not known here; the page will say so.",
                    )

    def groups(self) -> Iterator[Group]:
        """The fields in their order of reading, those of one value together."""
        member_of = {name: one for one in self._together if one.title for name in one.fields}
        shown: set[int] = set()
        for name in self.fields:
            together = member_of.get(name)
            if together is None:
                yield Group("", (self[name],))
            elif id(together) not in shown:
                shown.add(id(together))
                bound = tuple(self[member] for member in together.fields)
                closed = together.further and not any(
                    field.errors or field.value() for field in bound
                )
                yield Group(together.title, bound, folded=closed)

    def _add_sections(self, sections: list[dict[str, Any]]) -> None:
        for index, section in enumerate(sections):
            self.fields[f"section-{index}"] = forms.CharField(
                label=section["title"],
                initial=section["text"],
                required=False,
                strip=False,
                widget=forms.Textarea(
                    attrs={"rows": max(3, min(14, len(section["text"]) // 70 + 1))}
                ),
                help_text="Empty takes the section out.",
            )

    def edited(self) -> dict[str, Any]:
        """The content as edited: fields that were not in the form stay as they were."""
        out = dict(self.content)
        for name, spec in self.specs.items():
            if spec.control is Control.SECTIONS:
                out["sections"] = self._edited_sections()
                continue
            if spec.control in STRUCTURED:
                self._put(out, spec, structured_value(spec, self.cleaned_data, out.get(name)))
                continue
            given = self.cleaned_data[name]
            if other := self.cleaned_data.get(f"{name}-other"):
                # At most one code of each system: a code typed in takes the place of the ticked one.
                system = other.split(SEPARATOR)[0]
                given = [k for k in given if not k.startswith(system + SEPARATOR)] + [other]
            self._put(out, spec, _content(spec, given, self.content.get(name)))
        return out

    def _put(self, out: dict[str, Any], spec: FieldSpec, value: Any) -> None:
        if value is not None:
            out[spec.name] = value
        elif spec.removable and spec.name in self.content:
            out[spec.name] = None
        else:
            out.pop(spec.name, None)

    def _edited_sections(self) -> list[dict[str, Any]]:
        out = []
        for index, section in enumerate(self.content.get("sections") or []):
            text = self.cleaned_data[f"section-{index}"].replace("\r\n", "\n").replace("\r", "\n")
            if not text.strip():
                continue
            if text == section["text"]:
                out.append(section)
            else:
                # Spans of acts point into the old words; the checks name what still reports an act.
                out.append({k: v for k, v in section.items() if k != "acts"} | {"text": text})
        return out


def _field(spec: FieldSpec, value: Any, known_codes: Mapping[str, str]) -> forms.Field:
    common: dict[str, Any] = {"label": spec.label, "required": spec.required}
    if isinstance(value, bool):
        # A yes where a date could stand as well: it is shown and not retyped.
        return forms.CharField(
            label=spec.label, required=False, initial="yes" if value else "no", disabled=True
        )
    match spec.control:
        case Control.CHOICE:
            choices = list(spec.choices)
            if not spec.required:
                choices = [("", "not stated"), *choices]
            return forms.ChoiceField(choices=choices, initial=value or "", **common)
        case Control.CHOICES:
            return forms.MultipleChoiceField(
                choices=spec.choices,
                initial=value or [],
                widget=forms.CheckboxSelectMultiple,
                **common,
            )
        case Control.CODE | Control.CODES:
            return _code_field(spec, value, known_codes, common)
        case Control.TEXT:
            return forms.CharField(
                initial=value or "",
                max_length=spec.max_length,
                strip=False,
                widget=forms.Textarea(attrs={"rows": 3}),
                **common,
            )
        case Control.DATE:
            return forms.CharField(
                initial=value or "",
                max_length=10,
                help_text="A day, a month or a year: 2026-08-14, 2026-08, 2026.",
                **common,
            )
        case _:
            initial = words(spec.kind, spec.name, value) if isinstance(value, dict) else value or ""
            return forms.CharField(
                initial=initial,
                max_length=spec.max_length,
                disabled=isinstance(value, dict),
                **common,
            )


def _code_field(
    spec: FieldSpec, value: Any, known_codes: Mapping[str, str], common: dict[str, Any]
) -> forms.Field:
    """Codes to choose from: those of the draft and of the chart, and those that the field lists."""
    current = value if isinstance(value, list) else [value] if isinstance(value, dict) else []
    choices = {key_of(code): words_of(code) for code in current}
    choices |= {k: v for k, v in known_codes.items() if k.split(SEPARATOR)[0] in spec.systems}
    choices |= {
        f"{system}{SEPARATOR}{code}": f"{display} ({code})"
        for (system, code), display in codes.DISPLAYS.items()
        if system in spec.systems and code in dict(spec.choices)
    }
    if spec.control is Control.CODES:
        return forms.MultipleChoiceField(
            choices=list(choices.items()),
            initial=[key_of(code) for code in current],
            widget=forms.CheckboxSelectMultiple,
            help_text="The code’s own words are what is written; at most one code of each system.",
            **common,
        )
    return forms.ChoiceField(
        choices=[("", "not stated"), *choices.items()],
        initial=key_of(current[0]) if current else "",
        **common,
    )


def _content(spec: FieldSpec, given: Any, before: Any) -> Any:
    if isinstance(before, bool):
        return before
    if given in ("", None, []):
        return None
    match spec.control:
        case Control.CODES:
            known = {key_of(code): code for code in before or []}
            return [known.get(key) or code_of(key) for key in given]
        case Control.CODE:
            return (
                before if isinstance(before, dict) and key_of(before) == given else code_of(given)
            )
        case Control.CHOICE | Control.CHOICES | Control.DATE:
            return given
        case _:
            if isinstance(before, dict):
                return before
            return str(given).replace("\r\n", "\n").replace("\r", "\n")
