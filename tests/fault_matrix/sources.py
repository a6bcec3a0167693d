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


class Mark(NamedTuple):
    """One `fault` mark: the id, and the test that carries it ("" where it is on no test)."""

    id: str
    where: str
    test: str


Test = tuple[str, ast.FunctionDef, tuple[ast.ClassDef, ...]]


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
        return {path: _parsed(text) for path, text in self.texts.items()}

    @cached_property
    def tests(self) -> list[Test]:
        """(node id, function, enclosing class) of every test; an inherited one once per heir."""
        return list(self._tests())

    def _tests(self) -> Iterator[Test]:
        for path, tree in self.trees.items():
            collected = Path(path).name.startswith("test_")
            for node in tree.body:
                if isinstance(node, ast.FunctionDef) and collected and _is_test(node):
                    yield f"{path}::{node.name}", node, ()
                elif isinstance(node, ast.ClassDef):
                    heirs = (
                        [f"{path}::{node.name}"]
                        if collected and node.name.startswith("Test")
                        else self._heirs(node.name)
                    )
                    for each in node.body:
                        if isinstance(each, ast.FunctionDef) and _is_test(each):
                            for heir in heirs:
                                yield f"{heir}::{each.name}", each, (node,)

    def _heirs(self, name: str) -> list[str]:
        return [
            f"{path}::{node.name}"
            for path, tree in self.trees.items()
            if Path(path).name.startswith("test_")
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            and node.name.startswith("Test")
            and any(isinstance(base, ast.Name) and base.id == name for base in node.bases)
        ]

    def marks(self) -> list[Mark]:
        """Every mark in the tests, also in `pytest.param(..., marks=...)` and `pytestmark`."""
        on_tests: set[int] = set()
        found = []
        for test, function, classes in self.tests:
            path = test.split("::")[0]
            if "mark.fault" not in self.texts[path] and not classes:
                continue
            module = [
                node
                for node in self.trees[path].body
                if isinstance(node, ast.Assign)
                and any(isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets)
            ]
            holders = [
                *function.decorator_list,
                *(each for one in classes for each in one.decorator_list),
                *module,
            ]
            for call in _fault_calls(holders):
                on_tests.add(id(call))
                found += [Mark(name, test, test) for name in _words(call)]
        for path, tree in self.trees.items():
            for call in _fault_calls([tree] if "mark.fault" in self.texts[path] else []):
                if id(call) not in on_tests:
                    found += [Mark(name, f"{path}:{call.lineno}", "") for name in _words(call)]
        return found

    def setting(self, vendors: Mapping[str, tuple[str, ...]]) -> dict[str, set[str]]:
        """ "vendor.switch" to the tests that set it: `practice.settings(vendor, switch=...)`, in a test or in
        what a class of the contract sets before every case."""
        found: dict[str, set[str]] = defaultdict(set)
        for test, function, _ in self.tests:
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
            for cls in tree.body:
                if isinstance(cls, ast.ClassDef) and cls.name.startswith("Test"):
                    own = _class_literals(cls)
                    for switch in own.get("practice_settings", {}):
                        if switch in vendors.get(own.get("vendor", ""), ()):
                            found[f"{own['vendor']}.{switch}"].add(f"{path}::{cls.name}")
        return found

    def naming(self, pattern: re.Pattern[str], *, files: re.Pattern[str]) -> dict[str, set[str]]:
        """What a test of these files names in a number or a string of its own, to the tests that do."""
        found: dict[str, set[str]] = defaultdict(set)
        for test, function, _ in self.tests:
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
                found[target.id] = ast.literal_eval(node.value)  # type: ignore[union-attr]
            except ValueError:
                continue
    return found


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
