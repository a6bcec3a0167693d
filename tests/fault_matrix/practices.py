"""What the practice EHRs can be made to do, and which of it the contract of adapters plays, from their source."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.environment import ROOT

# Switches that are how a practice EHR is furnished, not how it misbehaves.
FURNITURE = frozenset(
    {"token_seconds", "flowsheet_rows", "cluster", "office_code", "user", "password", "session_seconds",
     "unity_idle_seconds"}
)  # fmt: skip
CONTRACT = "tests/ehr_adapters/practice_contract.py"
SIX = "tests/ehr_adapters/test_contract_of_six.py"
EACH_FAULT = "test_each_fault_becomes_its_branch_and_leaves_what_it_leaves"
# How the code of a practice spells a numbered refusal: the functions, and what the number looks like.
_SPELLED = {
    "epic": ({"refused", "require", "RequestRefused"}, r"^(?:59|4)\d{2,3}$"),
    "eclinicalworks": ({"refused_note", "require", "numbered"}, r"^[1236]\d{2}$"),
    "advancedmd": ({"Fault"}, r"^10\d{2}$"),
}
# Where an adapter knows them: its tables, and the test that goes through each of their entries.
_KNOWN = {
    "epic": (
        "epic/numbers.py", ("EPIC_CODES",),
        "test_epic.py", "TestEpic", "test_each_number_of_epics_has_its_branch_and_a_sentence",
    ),
    "eclinicalworks": (
        "eclinicalworks/numbers.py", ("ECW_CODES", "NOTE_CODES"),
        "test_eclinicalworks.py", "TestEclinicalworks", "test_each_number_has_its_branch_and_a_sentence",
    ),
    "advancedmd": (
        "advancedmd/faults.py", ("AMD_FAULTS",),
        "test_advancedmd.py", "TestAdvancedMd", "test_each_known_number_has_its_branch_and_a_sentence",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Practices:
    """The misbehaviours of the practice EHRs."""

    # kind of scripted fault -> what it does
    scripted: Mapping[str, str]
    # vendor -> its switches
    switches: Mapping[str, tuple[str, ...]]
    # vendor -> the numbers of its refusals
    numbers: Mapping[str, tuple[str, ...]]
    # (vendor, kind of scripted fault) -> the test of the contract that plays it
    played: Mapping[tuple[str, str], str]
    # (vendor, number) -> the test that goes through the adapter's table with this number in it
    branched: Mapping[tuple[str, str], str]

    @classmethod
    def read(cls, root: Path = ROOT) -> "Practices":
        """Raises LookupError when a table is not where it was."""
        sandbox = root / "ehr_adapters" / "sandbox"
        kinds = _table(sandbox / "faults.py", "KINDS")
        scripted = {
            _text(key): _text(value.elts[1])
            for key, value in _items(kinds)
            if isinstance(value, ast.Tuple)
        }
        names = {
            node.targets[0].id: node.value.value
            for node in ast.parse((sandbox / "behaviour.py").read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }
        switches = {
            names[key.id]: tuple(
                name for each, _ in _items(value) if (name := _text(each)) not in FURNITURE
            )
            for key, value in _items(_table(sandbox / "behaviour.py", "DEFAULTS"))
            if isinstance(key, ast.Name) and isinstance(value, ast.Dict)
        }
        return cls(
            scripted, switches, _numbers(sandbox / "vendors"), _played(root), _branched(root)
        )


def _items(table: ast.Dict) -> Iterator[tuple[ast.expr, ast.expr]]:
    for key, value in zip(table.keys, table.values, strict=True):
        if key is not None:
            yield key, value


def _text(node: ast.expr) -> str:
    return str(ast.literal_eval(node))


def _table(path: Path, name: str) -> ast.Dict:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == name
            and isinstance(node.value, ast.Dict)
        ):
            return node.value
    raise LookupError(f"{path.name} has no table {name}")


def _numbers(folder: Path) -> dict[str, tuple[str, ...]]:
    found = {}
    for vendor, (functions, pattern) in _SPELLED.items():
        numbers: set[str] = set()
        for path in sorted((folder / vendor).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Name)
                    and node.func.id in functions
                ):
                    # A number by name, or, where the vendor numbers everything, in any place.
                    said = [k.value for k in node.keywords if k.arg == "number"] or node.args
                    numbers |= {
                        str(each.value)
                        for arg in said
                        for each in ast.walk(arg)
                        if isinstance(each, ast.Constant)
                        and isinstance(each.value, str | int)
                        and re.fullmatch(pattern, str(each.value))
                    }
        if not numbers:
            raise LookupError(f"the numbers of {vendor}'s refusals are not where they were")
        found[vendor] = tuple(sorted(numbers))
    return found


def _branched(root: Path) -> dict[tuple[str, str], str]:
    found = {}
    for vendor, (module, tables, file, cls, name) in _KNOWN.items():
        path = root / "tests" / "ehr_adapters" / file
        marks = [
            ast.unparse(decorator)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.FunctionDef) and node.name == name
            for decorator in node.decorator_list
        ]
        for table in tables:
            if not any(f"sorted({table})" in mark for mark in marks):
                raise LookupError(f"{file}: {name} does not go through {table}")
            for key, _ in _items(_table(root / "ehr_adapters" / "vendors" / module, table)):
                if isinstance(key, ast.Constant):
                    where = path.relative_to(root).as_posix()
                    found[vendor, str(key.value)] = f"{where}::{cls}::{name}"
    return found


def _played(root: Path) -> dict[tuple[str, str], str]:
    """Every scripted fault of the contract's matrix, for every vendor whose class does not leave it out."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for key, value in _items(_table(root / CONTRACT, "MATRIX")):
        if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
            # A case by its HTTP status is scripted as an outcome of one's choice.
            kind = "outcome" if value.func.id == "_status" else _text(value.args[0])
            kinds[kind].add(_text(key))
    contract = ast.parse((root / CONTRACT).read_text(encoding="utf-8"))
    if not any(isinstance(n, ast.FunctionDef) and n.name == EACH_FAULT for n in ast.walk(contract)):
        raise LookupError(f"{CONTRACT} has no {EACH_FAULT}")
    found = {}
    for node in ast.parse((root / SIX).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "PracticeContract" for base in node.bases
        ):
            vendor, left_out = _of_class(node)
            for kind, titles in kinds.items():
                if titles - left_out:
                    found[vendor, kind] = f"{SIX}::{node.name}::{EACH_FAULT}"
    return found


def _of_class(node: ast.ClassDef) -> tuple[str, set[str]]:
    """Its vendor, and the cases that it leaves out whatever they are about."""
    vendor, left_out = "", set()
    for each in node.body:
        target = each.target if isinstance(each, ast.AnnAssign) else None
        if isinstance(each, ast.Assign):
            target = each.targets[0]
        if not isinstance(target, ast.Name):
            continue
        value = each.value  # type: ignore[union-attr]  # an assignment has one
        if target.id == "vendor" and isinstance(value, ast.Constant):
            vendor = str(value.value)
        if target.id == "left_out" and isinstance(value, ast.Dict):
            for key, _ in _items(value):
                if isinstance(key, ast.Tuple) and _text(key.elts[1]) == "*":
                    left_out.add(_text(key.elts[0]))
    return vendor, left_out
