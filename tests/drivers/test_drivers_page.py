"""docs/drivers.md claims nothing that no test shows, and leaves no driver out."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# About all drivers alike: the routes, the state of sessions, this page.
GENERAL = {"test_routes.py", "test_session_state.py", Path(__file__).name}
ROW = re.compile(r"^\| (?!driver \||---)(.+) \|$", re.MULTILINE)
SHOWN = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows() -> dict[str, list[tuple[str, str]]]:
    """What each row of the table names: (file, function)."""
    found = {}
    for row in ROW.findall((ROOT / "docs" / "drivers.md").read_text()):
        driver, *_, shown_by = row.split(" | ")
        found[driver] = SHOWN.findall(shown_by)
    return found


def functions_of(path: Path) -> set[str]:
    found = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("driver", rows())
def test_what_a_row_says_is_shown_by_tests_that_exist(driver: str) -> None:
    shown = rows()[driver]
    assert shown
    for file, function in shown:
        assert function in functions_of(ROOT / file)


def test_each_driver_that_is_tested_has_a_row() -> None:
    named = {Path(file).name for shown in rows().values() for file, _ in shown}
    tested = {path.name for path in Path(__file__).parent.glob("test_*.py")}

    assert tested - GENERAL <= named
