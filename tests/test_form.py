"""The form of the code under test is the one that was meant, compiled or pure.

`TRIO_POOL_EXPECT=compiled` in the environment says that the tests are to run the compiled
modules; without it they run the sources. Otherwise binaries left beside the sources, or a
compilation that quietly failed, would make a whole run of tests say nothing.
"""

from __future__ import annotations

import importlib
import os
import tomllib
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from protocol import form

ROOT = Path(__file__).parent.parent
WHEEL = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]
PATTERNS: list[str] = WHEEL["wheel"]["hooks"]["custom"]["modules"]

EXPECTED = os.environ.get("TRIO_POOL_EXPECT", "pure")


def modules() -> list[str]:
    """Every module that is compiled when anything is."""
    paths = (path for pattern in PATTERNS for path in ROOT.glob(pattern))
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return sorted(name for name in names if not name.endswith(".__init__"))


@pytest.mark.parametrize("name", modules())
def test_the_tests_run_the_form_that_they_are_meant_to(name: str) -> None:
    file = importlib.import_module(name).__file__

    assert file is not None
    found = "compiled" if file.endswith(tuple(EXTENSION_SUFFIXES)) else "pure"
    assert found == EXPECTED, f"{file}: TRIO_POOL_EXPECT says what the tests are to run"


@pytest.mark.parametrize("pattern", PATTERNS)
def test_what_is_to_be_compiled_exists(pattern: str) -> None:
    assert list(ROOT.glob(pattern))


def test_the_program_says_which_form_it_is() -> None:
    assert form.description().startswith("compiled" if EXPECTED == "compiled" else "pure Python: ")
    assert form.is_compiled() == (EXPECTED == "compiled")
