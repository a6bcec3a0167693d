"""What a browser makes of a page: its text, its forms, and what pressing a button would send.

Only what the page itself offers can be sent: a field or a choice that it does not have fails the test.
"""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

_VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "wbr"})
_UNSEEN = frozenset({"script", "style", "head", "template"})
# Beside these nothing separates one word from the next.
_INLINE = frozenset(
    {"a", "abbr", "b", "bdi", "code", "del", "em", "i", "ins", "kbd", "mark", "q", "small", "span",
     "strong", "sub", "sup", "time"}
)  # fmt: skip
_SPACES = re.compile(r"\s+")


class NotOnThePage(AssertionError):
    """The page has no such button, field or choice."""


@dataclass(slots=True)
class Control:
    """A field of a form. `need` is what a check asks for; `words` is what stands beside a choice."""

    kind: str
    name: str
    value: str
    on: bool = True
    need: str = ""
    words: str = ""
    required: bool = False
    options: list[tuple[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Button:
    """A button: pressing it sends its form, perhaps elsewhere than the form says."""

    words: str
    name: str
    value: str
    action: str
    form: "Form | None"
    blocked: str = ""


@dataclass(slots=True)
class Form:
    """A form with its fields in the order in which they stand."""

    id: str
    method: str
    action: str
    controls: list[Control] = field(default_factory=list)

    def named(self, name: str) -> list[Control]:
        found = [control for control in self.controls if control.name == name]
        if not found:
            raise NotOnThePage(f"no field {name!r} among {[c.name for c in self.controls]}")
        return found

    def fill(self, name: str, value: str) -> None:
        """Types into a field, or picks one of its choices."""
        controls = self.named(name)
        if controls[0].kind in ("radio", "checkbox"):
            if value not in [control.value for control in controls]:
                raise NotOnThePage(f"{name!r} has no choice {value!r}")
            for control in controls:
                if control.kind == "radio":
                    control.on = control.value == value
                elif control.value == value:
                    control.on = True
            return
        [control] = controls
        if control.kind == "select" and value not in [option for option, _ in control.options]:
            raise NotOnThePage(f"{name!r} has no choice {value!r}")
        control.value = value

    def sent(self, button: Button) -> list[tuple[str, str]]:
        """The pairs that pressing the button sends; a required field left open fails the test."""
        for control in self.controls:
            alike = [c for c in self.controls if c.name == control.name]
            chosen = any(c.on for c in alike) if control.kind == "radio" else bool(control.value)
            if control.required and not chosen:
                raise NotOnThePage(f"{control.name!r} has to be filled in before pressing")
        pairs = [(c.name, c.value) for c in self.controls if c.on and c.name]
        if button.name:
            pairs.append((button.name, button.value))
        return pairs


@dataclass(frozen=True, slots=True)
class Screen:
    """One page as it is on the screen."""

    url: str
    status: int
    html: str
    text: str
    parts: dict[str, str]
    forms: list[Form]
    buttons: list[Button]

    @classmethod
    def of(cls, html: str, *, url: str, status: int = 200) -> "Screen":
        reader = _Reader(url)
        reader.feed(html)
        reader.close()
        return cls(
            url,
            status,
            html,
            _tidy("".join(reader.words)),
            reader.told(),
            reader.forms,
            reader.buttons,
        )

    def part(self, element_id: str) -> str:
        """The text of the element with this id."""
        if element_id not in self.parts:
            raise NotOnThePage(f"no part {element_id!r} among {sorted(self.parts)}")
        return self.parts[element_id]

    def button(self, words: str) -> Button:
        """The one button with exactly these words, else the one with these among its words."""
        found = [button for button in self.buttons if button.words == words]
        found = found or [button for button in self.buttons if words in button.words]
        if len(found) != 1:
            raise NotOnThePage(f"{words!r}: {[button.words for button in found or self.buttons]}")
        return found[0]

    def offers(self, words: str) -> bool:
        return any(words in button.words for button in self.buttons)

    # --- the checks of the review page -----------------------------------------------------------

    @property
    def decision(self) -> Form:
        return next(form for form in self.forms if form.id == "decision")

    def ticks(self) -> list[Control]:
        return [c for c in self.decision.controls if c.kind == "checkbox" and c.need]

    def choices(self) -> dict[str, list[Control]]:
        """The questions of the page: what is asked about, and its answers, safest first."""
        asked: dict[str, list[Control]] = {}
        for control in self.decision.controls:
            if control.kind == "radio":
                asked.setdefault(control.need, []).append(control)
        return asked

    def tick_all(self) -> None:
        for tick in self.ticks():
            tick.on = True

    def answer(self, about: str, words: str) -> None:
        """Picks, of the question whose words contain `about`, the answer with these words."""
        found = [answers for need, answers in self.choices().items() if about in need]
        if len(found) != 1:
            raise NotOnThePage(f"{about!r}: {list(self.choices())}")
        chosen = [control for control in found[0] if words in control.words]
        if len(chosen) != 1:
            raise NotOnThePage(f"{words!r}: {[control.words for control in found[0]]}")
        self.decision.fill(chosen[0].name, chosen[0].value)


def _tidy(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


class _Reader(HTMLParser):
    """Reads one page, once."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.words: list[str] = []
        self.forms: list[Form] = []
        self.buttons: list[Button] = []
        self._open: list[tuple[str, dict[str, str], int]] = []
        self._ranges: dict[str, tuple[int, int]] = {}
        self._elsewhere: list[tuple[str, Control | Button]] = []
        self._select: Control | None = None

    def told(self) -> dict[str, str]:
        return {name: _tidy("".join(self.words[a:b])) for name, (a, b) in self._ranges.items()}

    def close(self) -> None:
        super().close()
        by_id = {form.id: form for form in self.forms if form.id}
        for form_id, thing in self._elsewhere:
            if isinstance(thing, Button):
                thing.form = by_id[form_id]
                thing.action = thing.action or thing.form.action
            else:
                by_id[form_id].controls.append(thing)

    # --- tags ----------------------------------------------------------------------------------------

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in _INLINE:
            self.words.append(" ")
        if tag == "form":
            self.forms.append(
                Form(
                    id=given.get("id", ""),
                    method=given.get("method", "get").lower(),
                    action=urljoin(self.url, given.get("action") or self.url),
                )
            )
        elif tag == "input":
            self._add(self._input(given), given)
        elif tag in ("select", "textarea"):
            control = Control(tag, given.get("name", ""), "", required="required" in given)
            control.need = given.get("data-need", "")
            self._add(control, given)
            self._select = control
        elif tag == "option" and self._select is not None:
            value = given.get("value", "")
            self._select.options.append((value, ""))
            if "selected" in given or len(self._select.options) == 1:
                self._select.value = value
        if tag not in _VOID:
            self._open.append((tag, given, len(self.words)))

    def _input(self, given: dict[str, str]) -> Control:
        kind = given.get("type", "text")
        choice = kind in ("radio", "checkbox")
        need = given.get("data-need", "")
        if choice and not need:
            # A question carries what it asks for, not each of its answers.
            fields = [attrs for tag, attrs, _ in self._open if tag == "fieldset"]
            need = fields[-1].get("data-need", "") if fields else ""
        return Control(
            kind=kind,
            name=given.get("name", ""),
            value=given.get("value", "on" if choice else ""),
            on="checked" in given if choice else True,
            need=need,
            required="required" in given,
        )

    def _add(self, control: Control, given: dict[str, str]) -> None:
        if not control.name or control.kind in ("submit", "button"):
            return
        if "form" in given:
            self._elsewhere.append((given["form"], control))
        elif form := self._form():
            form.controls.append(control)

    def _form(self) -> Form | None:
        """The form that is open at this place."""
        return self.forms[-1] if any(tag == "form" for tag, _, _ in self._open) else None

    def handle_endtag(self, tag: str) -> None:
        if not any(tag == opened for opened, _, _ in self._open):
            return
        while self._open:
            opened, given, start = self._open.pop()
            self._closed(opened, given, start)
            if opened == tag:
                break
        if tag not in _INLINE:
            self.words.append(" ")

    def _closed(self, tag: str, given: dict[str, str], start: int) -> None:
        if given.get("id"):
            self._ranges[given["id"]] = (start, len(self.words))
        said = _tidy("".join(self.words[start:]))
        if tag == "button" and given.get("type", "submit") == "submit":
            form = self._form()
            button = Button(
                words=said or given.get("aria-label", ""),
                name=given.get("name", ""),
                value=given.get("value", ""),
                action=urljoin(self.url, given["formaction"]) if given.get("formaction") else "",
                form=form,
                blocked=given.get("data-blocked", ""),
            )
            if "form" in given:
                self._elsewhere.append((given["form"], button))
            elif form is not None:
                button.action = button.action or form.action
            self.buttons.append(button)
        elif tag == "label":
            self._name_choice(said)
        elif tag == "textarea" and self._select is not None:
            self._select.value = "".join(self.words[start:]).removeprefix("\n")
            self._select = None
        elif tag == "select":
            self._select = None
        elif tag == "option" and self._select is not None and self._select.options:
            value, _ = self._select.options[-1]
            self._select.options[-1] = (value, said)

    def _name_choice(self, said: str) -> None:
        """The label that closes now stands around a choice: the last one of its form."""
        form = self._form()
        last = form.controls[-1] if form and form.controls else None
        if last is not None and last.kind in ("radio", "checkbox") and not last.words:
            last.words = said

    def handle_data(self, data: str) -> None:
        if not any(tag in _UNSEEN for tag, _, _ in self._open):
            self.words.append(data)
