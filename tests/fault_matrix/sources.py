"""What the tests say of themselves: their `fault` marks, the switches that they set, the numbers that they name."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tests.environment import ROOT

_TELLING = re.compile(r"mark\.fault|\.settings\(|practice_settings|Contract\b")
# Where a vendor's numbers are meant: the same one may mean something else elsewhere, or nothing at all.
NUMBERED = {
    "epic": re.compile(r"epic|clinical|sandbox_faults"),
    "eclinicalworks": re.compile(r"eclinicalworks"),
    "advancedmd": re.compile(r"advancedmd"),
}


class Mark(NamedTuple):
    """One `fault` mark: the id, and the test that carries it ("" where it is on no test)."""

    id: str
    where: str
    test: str


class Test(NamedTuple):
    """A test: its node id, its function, and the class and the file that define it."""

    id: str
    function: ast.FunctionDef
    cls: ast.ClassDef | None
    origin: str


@dataclass(frozen=True)
class Sources:
    """Every test file, read once: path below the project -> its text."""

    texts: Mapping[str, str]

    @classmethod
    def read(cls, root: Path = ROOT) -> "Sources":
        paths = sorted((root / "tests").rglob("*.py"))
        return cls(
            {each.relative_to(root).as_posix(): each.read_text(encoding="utf-8") for each in paths}
        )

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """The files that can say something; the others are not worth their parsing."""
        return {
            path: _parsed(text)
            for path, text in self.texts.items()
            if _TELLING.search(text) or any(each.search(path) for each in NUMBERED.values())
        }

    @cached_property
    def tests(self) -> list[Test]:
        """Every test; an inherited one once per heir."""
        return list(self._tests())

    def _tests(self) -> Iterator[Test]:
        for path, tree in self.trees.items():
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and _is_collected(path) and _is_test(node):
                    yield Test(f"{path}::{node.name}", node, None, path)
                elif isinstance(node, ast.ClassDef):
                    heirs = (
                        [f"{path}::{node.name}"]
                        if _is_collected(path) and node.name.startswith("Test")
                        else self.heirs.get(node.name, [])
                    )
                    for each in node.body:
                        if isinstance(each, ast.FunctionDef) and _is_test(each):
                            for heir in heirs:
                                yield Test(f"{heir}::{each.name}", each, node, path)

    @cached_property
    def heirs(self) -> dict[str, list[str]]:
        """The name of a class to the test classes that inherit from it by this name."""
        found: dict[str, list[str]] = defaultdict(list)
        for path, tree in self.trees.items():
            for node in tree.body if _is_collected(path) else ():
                if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                    for base in node.bases:
                        if isinstance(base, ast.Name):
                            found[base.id].append(f"{path}::{node.name}")
        return found

    def marks(self) -> list[Mark]:
        """Every mark in the tests, also in `pytest.param(..., marks=...)` and `pytestmark`."""
        on_tests: set[int] = set()
        found = []
        marking = {path for path, text in self.texts.items() if "mark.fault" in text}
        for test, function, cls, origin in self.tests:
            path = test.split("::")[0]
            if not marking & {path, origin}:
                continue
            module = [
                node
                for node in self.trees[path].body
                if isinstance(node, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
            ]
            holders = [*function.decorator_list, *(cls.decorator_list if cls else ()), *module]
            for call in _fault_calls(holders):
                on_tests.add(id(call))
                found += [Mark(name, test, test) for name in _words(call)]
        for path, tree in self.trees.items():
            for call in _fault_calls([tree] if path in marking else []):
                if id(call) not in on_tests:
                    found += [Mark(name, f"{path}:{call.lineno}", "") for name in _words(call)]
        return found

    def setting(self, vendors: Mapping[str, tuple[str, ...]]) -> dict[str, set[str]]:
        """ "vendor.switch" to the tests that set it: `practice.settings(vendor, switch=...)`, in a test or in
        what a class of the contract sets before every case."""
        found: dict[str, set[str]] = defaultdict(set)
        for test, function, _, _ in self.tests:
            if ".settings(" not in self.texts[test.split("::")[0]]:
                continue
            for node in ast.walk(function):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr == "settings"
                    and node.args
                ):
                    vendor = _vendor_of(node.args[0], test, vendors)
                    for keyword in node.keywords:
                        if keyword.arg in vendors.get(vendor, ()):
                            found[f"{vendor}.{keyword.arg}"].add(test)
        for path, tree in self.trees.items():
            for cls in tree.body if "practice_settings" in self.texts[path] else ():
                if isinstance(cls, ast.ClassDef) and cls.name.startswith("Test"):
                    own = _class_literals(cls)
                    for switch in own.get("practice_settings", {}):
                        if switch in vendors.get(own.get("vendor", ""), ()):
                            found[f"{own['vendor']}.{switch}"].add(f"{path}::{cls.name}")
        return found

    def naming(self, pattern: re.Pattern[str], *, files: re.Pattern[str]) -> dict[str, set[str]]:
        """What a test of these files names in a number or a string of its own, to the tests that do."""
        found: dict[str, set[str]] = defaultdict(set)
        for test, function, _, _ in self.tests:
            if not files.search(test.split("::")[0]):
                continue
            for node in ast.walk(function):
                if isinstance(node, ast.Constant) and isinstance(node.value, str | int):
                    for word in pattern.findall(str(node.value)):
                        found[word].add(test)
        return found


@cache
def _parsed(text: str) -> ast.Module:
    return ast.parse(text)


def _vendor_of(node: ast.expr, test: str, vendors: Iterable[str]) -> str:
    """The vendor that a call names, or, where it names it by a constant of its file, that of the file."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    return next((each for each in vendors if each in test.split("::", maxsplit=1)[0]), "")


def _class_literals(cls: ast.ClassDef) -> dict[str, Any]:
    """The plain values that a class body gives to names."""
    found = {}
    for node in cls.body:
        target = node.target if isinstance(node, ast.AnnAssign) else None
        if isinstance(node, ast.Assign):
            target = node.targets[0]
        if isinstance(target, ast.Name) and getattr(node, "value", None) is not None:
            try:
                found[target.id] = ast.literal_eval(node.value)  # type: ignore[union-attr]  # looked for in the line above
            except ValueError:
                continue
    return found


def _is_collected(path: str) -> bool:
    return path.rpartition("/")[2].startswith("test_")


def _is_test(node: ast.FunctionDef) -> bool:
    return node.name.startswith("test_")


def _fault_calls(nodes: Iterable[ast.AST]) -> Iterator[ast.Call]:
    for node in nodes:
        for each in ast.walk(node):
            if (
                isinstance(each, ast.Call)
                and isinstance(each.func, ast.Attribute)
                and each.func.attr == "fault"
                and isinstance(each.func.value, ast.Attribute)
                and each.func.value.attr == "mark"
            ):
                yield each


def _words(call: ast.Call) -> list[str]:
    return [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
