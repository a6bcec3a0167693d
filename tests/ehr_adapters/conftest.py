"""Prints what the contract suite covered: cases per adapter, what was left out and why, fields generated."""

from collections import Counter, defaultdict
from typing import Any

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for report in terminalreporter.getreports("passed"):
        for name, value in getattr(report, "user_properties", ()):
            if name == "contract" and report.when == "call":
                told[value["adapter"]].append(value)
    if not told:
        return
    terminalreporter.section("the contract, per adapter")
    for adapter, values in sorted(told.items()):
        for line in _lines(adapter, values):
            terminalreporter.write_line(line)


def _lines(adapter: str, values: list[dict[str, Any]]) -> list[str]:
    rows = {value["row"] for value in values}
    cases = sum(value.get("cases", 0) for value in values)
    generated = [value for value in values if "generated" in value]
    left_out = Counter(
        (value["left_out"], value["fact"]) for value in values if "left_out" in value
    )
    covered = sum(len(value["covered"]) for value in generated)
    optional = sum(value["optional"] for value in generated)
    changes = sum(value["generated"] for value in generated)
    said = f"{len(rows)} rows, {cases} cases over HTTP, {sum(left_out.values())} left out"
    lines = [f"{adapter}: {said}; {changes} generated, {covered} of {optional} optional fields"]
    classes = Counter(one for value in values for one in value.get("retry", ()))
    if classes:
        held = ", ".join(f"{name} {count}" for name, count in sorted(classes.items()))
        lines.append(f"  sent twice, by retry class: {held}")
    never: dict[str, list[str]] = defaultdict(list)
    for value in generated:
        for name in value["never"]:
            never[name].append(value["row"])
    for name, places in sorted(never.items()):
        lines.append(f"  never generated: {name} ({', '.join(sorted(places))})")
    for (name, fact), times in sorted(left_out.items()):
        lines.append(f"  left out ({times}): {name}: {fact}")
    return lines
