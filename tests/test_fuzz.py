"""Every fuzz target keeps its promise for a second, and its checks can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from fuzz import agreement, framing, messages, relay, scram, startup
from fuzz import sql as sql_target
from fuzz.harness import one_round
from protocol import backend as backend_messages
from protocol.sql import classify
from protocol.sql.command import Classification

ROOT: Final = Path(__file__).parent.parent
# Inputs by chance, for each target about a second's worth.
EXAMPLES: Final = {
    agreement: 300,
    framing: 150,
    messages: 200,
    relay: 60,
    scram: 200,
    sql_target: 150,
    startup: 200,
}


@pytest.mark.slow
@pytest.mark.parametrize("target", EXAMPLES, ids=lambda target: target.__name__)
def test_a_target_keeps_its_promise(target: ModuleType) -> None:
    for seed in target.TARGET.seeds():
        target.TARGET.check(target.TARGET.read(seed))
    one_round(target.TARGET, 1, EXAMPLES[target])


@pytest.mark.parametrize("target", EXAMPLES, ids=lambda target: target.__name__)
def test_any_bytes_make_an_input(target: ModuleType) -> None:
    for data in (b"", b"\0", b"\1", b"\xff" * 50, bytes(range(256))):
        target.TARGET.check(target.TARGET.read(data))


def test_the_readme_names_every_target() -> None:
    page = (ROOT / "fuzz" / "README.md").read_text()

    for path in (ROOT / "fuzz").glob("*.py"):
        if "TARGET" in path.read_text() and path.stem != "harness":
            assert f"`python -m fuzz.{path.stem}`" in page


@pytest.mark.slow
def test_a_target_runs_as_the_readme_says() -> None:
    command = [sys.executable, "-m", "fuzz.framing", "--hypothesis", "--seconds", "0.1"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("inputs, all well\n")


@pytest.mark.slow
def test_classification_agrees_with_postgresql_on_every_statement_of_the_corpus() -> None:
    compared = [agreement.check(statement) for statement in agreement.corpus()]

    assert sum(compared) > 290
    assert compared.count(False) < 6


def test_a_statement_that_is_read_otherwise_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(text: bytes, conforming: bool = True) -> Classification:
        found = classify.classify(text, conforming)
        return Classification(found.commands[:-1])

    monkeypatch.setattr(agreement, "classify", blind)

    with pytest.raises(AssertionError):
        agreement.check(b"select 1; deallocate a")


def test_a_decoder_that_believes_a_count_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(side: bool, tag: int, body: bytes) -> None:
        bytearray(int.from_bytes(body, "big"))

    monkeypatch.setattr(messages, "_check_bytes", believing)

    messages.check((True, ord("t"), b"\0\0\xff\xff"))
    with pytest.raises(AssertionError):
        messages.check((True, ord("t"), b"\0\xff\xff\xff"))


def test_a_name_of_the_pools_in_an_error_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    error = backend_messages.error_response("ERROR", "26000", "it does not exist")
    refused: relay.Wild = [(True, relay.query("execute a")), (False, error)]
    relay.check(refused)

    monkeypatch.setattr(relay, "PREFIX", b"does not ")

    with pytest.raises(AssertionError):
        relay.check(refused)
