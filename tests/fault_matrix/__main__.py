"""`python -m tests.fault_matrix`: writes docs/fault-matrix.md; with `--check` it compares. 1 when it does not hold."""

import sys

from tests.environment import ROOT
from tests.fault_matrix.page import PAGE, collect, page


def main(arguments: list[str]) -> int:
    matrix = collect()
    for complaint in matrix.complaints:
        print(complaint)
    text = page(matrix)
    if "--check" in arguments:
        stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text
        if stale:
            print("docs/fault-matrix.md is not what `make trace` writes.")
        return 1 if stale or matrix.complaints else 0
    PAGE.write_text(text, encoding="utf-8")
    scripted = sum(len(by_vendor) for by_vendor in matrix.scripted.values())
    print(
        f"{PAGE.relative_to(ROOT)}: {len(matrix.rows)} rows, {len(matrix.facts)} habits, {scripted} scripted "
        f"faults, {len(matrix.switches)} switches, {len(matrix.numbers)} numbered refusals"
    )
    return 1 if matrix.complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
