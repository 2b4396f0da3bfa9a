"""Runs a fuzz target for ever, by atheris when it is installed and by Hypothesis when not.

A target is a strategy for inputs and a function that raises when an input breaks the target's
invariant. Nothing here knows PostgreSQL.
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, given, seed, settings
from hypothesis.strategies import SearchStrategy

EXAMPLES_PER_ROUND = 2_000

Input = TypeVar("Input")


def fuzz(strategy: SearchStrategy[Input], check: Callable[[Input], None]) -> None:
    """Feed `check` until it raises. The smallest failing input is printed with its seed."""
    arguments = _arguments()
    if importlib.util.find_spec("atheris") and not arguments.hypothesis:
        _by_atheris(strategy, check)
    else:
        _by_hypothesis(strategy, check, arguments.seed, arguments.seconds)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzz one parser until it breaks its promise.")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this long")
    parser.add_argument("--seed", type=int, help="begin with this seed, as a failure printed it")
    parser.add_argument("--hypothesis", action="store_true", help="even if atheris is installed")
    # Why: all other arguments (a corpus, -max_len and the like) are atheris' own.
    return parser.parse_known_args()[0]


def _by_hypothesis(
    strategy: SearchStrategy[Input],
    check: Callable[[Input], None],
    first_seed: int | None,
    seconds: float,
) -> None:
    end = time.monotonic() + seconds
    number = random.randrange(1 << 32) if first_seed is None else first_seed
    rounds = 0
    while time.monotonic() < end:
        print(f"seed {number}: {EXAMPLES_PER_ROUND} inputs", flush=True)
        seed(number)(_round_of(strategy, check))()
        number += 1
        rounds += 1
    print(f"{rounds * EXAMPLES_PER_ROUND} inputs, all well")


def _round_of(
    strategy: SearchStrategy[Input], check: Callable[[Input], None]
) -> Callable[[], None]:
    @settings(
        max_examples=EXAMPLES_PER_ROUND,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one_input(given_input: Input) -> None:
        check(given_input)

    return one_input


def _by_atheris(strategy: SearchStrategy[Input], check: Callable[[Input], None]) -> None:
    import atheris

    @given(strategy)
    def one_input(given_input: Input) -> None:
        check(given_input)

    # Why: Hypothesis reads atheris' bytes as choices, so inputs stay well formed where the
    # strategy says so, and coverage guides the choices.
    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
    atheris.Fuzz()
