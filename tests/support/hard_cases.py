"""The hard cases of pooling, and which test stands for each of them.

A script names its cases (`cases=`), a test those it shows by `@pytest.mark.hard_case(17, 18)`,
and EXCLUDED says why there is neither. What has nothing of these is open, and the page says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from trio_pool.conform.scripts.catalogue import SCRIPTS

TESTS: Final = Path(__file__).parent.parent
MARKER: Final = "hard_case"

EXCLUDED: Final[Mapping[int, str]] = {
    65: "the server counts executions of a statement for itself; only EXPLAIN shows it",
}


def titles() -> dict[int, str]:
    """What each case is about, by its number."""
    lines = (TESTS / "support" / "hard_cases.txt").read_text().splitlines()
    return {int(number): title for number, _, title in (line.partition(" ") for line in lines)}


def shown_by() -> dict[int, list[str]]:
    """The scripts and tests that stand for each case."""
    found: dict[int, list[str]] = {}
    for script in SCRIPTS:
        for case in script.cases:
            gap = f" (gap: {script.gap})" if script.gap else ""
            found.setdefault(case, []).append(f"script: {script.title}{gap}")
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, cases in _marked(ast.parse(path.read_text())):
            for case in cases:
                place = f"`{path.relative_to(TESTS.parent)}`"
                found.setdefault(case, []).append(f"{place}: {name.replace('_', ' ')}")
    return found


def _marked(tree: ast.Module) -> Iterator[tuple[str, list[int]]]:
    """Each test function with the numbers in its marker."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith(f".{MARKER}"):
                    yield node.name.removeprefix("test_"), [ast.literal_eval(a) for a in mark.args]


def hard_cases_page() -> str:
    """Every case with its outcome and the scripts and tests that show it."""
    shown = shown_by()
    rows = [_row(number, title, shown.get(number, [])) for number, title in titles().items()]
    covered = sum(number in shown for number in titles())
    return f"""# The hard cases

Made from the scripts and tests; do not edit. {len(rows)} situations in which poolers go wrong:
{covered} are shown by a script (played directly and through the pool, answers compared) or a test,
{len(EXCLUDED)} are excluded with a reason, the others have no named test yet.

| case | situation | outcome | shown by |
|---|---|---|---|
{chr(10).join(rows)}
"""


def _row(number: int, title: str, places: list[str]) -> str:
    if places:
        outcome = "gap" if all("(gap: " in place for place in places) else "as on a private server"
    else:
        outcome = "excluded" if number in EXCLUDED else "open"
    shown = "<br>".join(places) or EXCLUDED.get(number, "")
    cells = (str(number), title, outcome, shown)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
