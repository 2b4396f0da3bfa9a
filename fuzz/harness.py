"""Runs a fuzz target for ever, by atheris when it is installed and by Hypothesis when not.

A target makes inputs in two ways: a strategy makes them by chance, and `read` makes one of any
bytes, so that coverage can guide what the bytes are. Nothing here knows PostgreSQL.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import Final, Generic, TypeVar

import attrs
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES_PER_ROUND: Final = 500
# What coverage is measured in.
MEASURED: Final = ("protocol", "trio_pool")

Input = TypeVar("Input")


@attrs.frozen
class Target(Generic[Input]):
    """Inputs, and what raises when one of them breaks the invariant.

    `read` makes an input of any bytes whatsoever; `seeds` are bytes to begin with.
    """

    strategy: SearchStrategy[Input]
    check: Callable[[Input], object]
    read: Callable[[bytes], Input]
    seeds: Callable[[], Iterable[bytes]]


def fuzz(target: Target[Input]) -> None:
    """Feed the target until it raises. The smallest failing input is printed with its seed."""
    arguments, others = _arguments()
    if importlib.util.find_spec("atheris") and not arguments.hypothesis:
        _by_atheris(target, arguments.seconds, others)
    else:
        count = by_hypothesis(target, arguments.seed, arguments.seconds)
        print(f"{count} inputs, all well")


def _arguments() -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(description="Fuzz one parser until it breaks its promise.")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this long")
    parser.add_argument("--seed", type=int, help="begin with this seed, as a failure printed it")
    parser.add_argument("--hypothesis", action="store_true", help="even if atheris is installed")
    # Why: all other arguments (a corpus, -max_len and the like) are atheris' own.
    return parser.parse_known_args()


def by_hypothesis(target: Target[Input], first_seed: int | None, seconds: float) -> int:
    """Rounds of random inputs; how many there were."""
    for data in target.seeds():
        target.check(target.read(data))
    end = time.monotonic() + seconds
    number = random.randrange(1 << 32) if first_seed is None else first_seed
    rounds = 0
    while time.monotonic() < end:
        print(f"seed {number}: {EXAMPLES_PER_ROUND} inputs", flush=True)
        one_round(target, number, EXAMPLES_PER_ROUND)
        number += 1
        rounds += 1
    return rounds * EXAMPLES_PER_ROUND


def one_round(target: Target[Input], number: int, examples: int) -> None:
    """Inputs by chance, from this seed."""

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(target.strategy)
    def one_input(given_input: Input) -> None:
        target.check(given_input)

    seed(number)(one_input)()


def _by_atheris(target: Target[Input], seconds: float, others: list[str]) -> None:
    import atheris

    def one_input(data: bytes) -> None:
        target.check(target.read(data))

    for function in _measured_functions():
        atheris.instrument_func(function)
    limits = [] if seconds == float("inf") else [f"-max_total_time={seconds:.0f}"]
    with tempfile.TemporaryDirectory() as seeds:
        for number, data in enumerate(target.seeds()):
            (Path(seeds) / str(number)).write_bytes(data)
        # What is found goes into the first folder, which is the user's if one is given.
        atheris.Setup([sys.argv[0], *limits, *others, seeds], one_input)
        atheris.Fuzz()


def _measured_functions() -> list[FunctionType]:
    return [
        found
        for found in gc.get_objects()
        if isinstance(found, FunctionType)
        and (found.__module__ or "").partition(".")[0] in MEASURED
    ]
