"""The random scripts of `trio-pool conform`: their seed is all of them, and they are not alike."""

from __future__ import annotations

import random
from typing import Final

import pytest

from trio_pool.conform.random_world import messages_in, random_script, say
from trio_pool.conform.script import Say, Script
from trio_pool.conform.shrinking import smaller
from trio_pool.conform.words import COPY_DONE, SYNC, data, once, parse, query

COUNT: Final = 1_000


def scripts_of(seed: int) -> list[Script]:
    choices = random.Random(seed)
    return [random_script(choices, 1 + number % 3) for number in range(COUNT)]


def kinds_in(script: Script) -> str:
    """The messages that it says, by type and step."""
    said = [step.data for step in script.steps if isinstance(step, Say)]
    return " ".join("".join(chr(message[0]) for message in messages_in(one)) for one in said)


def test_a_seed_says_which_scripts_there_are() -> None:
    assert scripts_of(1) == scripts_of(1)
    assert scripts_of(1) != scripts_of(2)


def test_scripts_hardly_ever_repeat_each_other() -> None:
    scripts = scripts_of(3)

    assert len(set(scripts)) > 0.98 * COUNT
    assert len({kinds_in(script) for script in scripts}) > 0.8 * COUNT


def test_only_the_first_client_changes_anything() -> None:
    for script in scripts_of(4):
        for step in script.steps:
            if isinstance(step, Say) and step.client:
                assert b"insert" not in step.data
                assert b"create table" not in step.data


def test_every_smaller_script_is_smaller_and_ends_each_step() -> None:
    copied = query("copy u from stdin") + data("1\n") + COPY_DONE
    pipeline = parse("a", "select 1") + once("select 2") + SYNC + once("select 3") + SYNC
    script = Script("a script", (say(copied), say(pipeline), say(query("select 4"), 1)))

    found = list(smaller(script))

    assert [len(each.steps) for each in found[:3]] == [2, 2, 2]
    for each in found:
        assert sum(map(size, each.steps)) < sum(map(size, script.steps))
        for step in each.steps:
            assert isinstance(step, Say)
            kinds = {chr(message[0]) for message in messages_in(step.data)}
            assert kinds & {"Q", "S"}
            assert "c" in kinds or step.data.find(b"copy u") < 0


def size(step: object) -> int:
    assert isinstance(step, Say)
    return len(step.data) + step.client


@pytest.mark.parametrize("clients", [1, 3])
def test_no_more_clients_speak_than_may(clients: int) -> None:
    choices = random.Random(5)

    for _ in range(COUNT):
        script = random_script(choices, clients)
        assert {step.client for step in script.steps if isinstance(step, Say)} <= set(
            range(clients)
        )
