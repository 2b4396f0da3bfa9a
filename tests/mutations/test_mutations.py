"""Every deliberate fault can still be put in; `python -m tests.mutations` sees who notices."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutations.catalogue import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.title)
def test_a_deliberate_fault_can_still_be_put_in(mutation: Mutation) -> None:
    source = (ROOT / mutation.file).read_text()

    assert source.count(mutation.old) == 1, "move the fault to where the mistake would be made now"
    ast.parse(source.replace(mutation.old, mutation.new))
    assert mutation.old != mutation.new
    assert (ROOT / mutation.tests[0]).exists()
