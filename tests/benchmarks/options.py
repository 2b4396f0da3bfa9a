"""The command line of the harness."""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.benchmarks.bench import Scale
from tests.benchmarks.poolers import OURS, Peer, Side, other_program, our_pool
from tests.benchmarks.workloads import WORKLOADS

_DEBIAN_PGBOUNCER: Final = "/usr/sbin/pgbouncer"


@attrs.frozen(kw_only=True)
class Options:
    """What to run, on whom, and where to put what came out."""

    workloads: tuple[str, ...]
    rounds: int
    scale: Scale
    sides: tuple[Side, ...]
    output: Path
    postgres: str | None
    instructions: bool


def parse(words: Sequence[str] | None = None) -> Options:
    """Read the command line; ends the process at a mistake in it. Raises LoadFailed when a
    pooler named there cannot be started."""
    parser = _parser()
    given = parser.parse_args(words)
    unknown = [name for name in given.workloads if name not in WORKLOADS]
    if unknown:
        parser.error(
            f"no workload is called {', '.join(unknown)}; there are {', '.join(WORKLOADS)}"
        )
    if given.peer and given.postgres is None:
        parser.error("--peer needs --postgres URL: the server that the peer is configured for")
    return Options(
        workloads=given.workloads,
        rounds=given.rounds or (1 if given.quick else 5),
        scale=_scale(given.quick, given.clients, given.seconds),
        sides=_sides(given.pure, given.compiled, given.alone, given.program, given.peer),
        output=given.output,
        postgres=given.postgres,
        instructions=given.instructions,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks",
        description="Put the same load on trio-pool and other poolers, in turn, and compare.",
    )
    add = parser.add_argument
    add("--workloads", type=_names, default=tuple(WORKLOADS), metavar="A,B", help="default: all")
    add("--clients", type=_numbers, metavar="N,N", help="clients of simple, extended, prepared")
    add("--rounds", type=_positive, metavar="N", help="turns of each side (default 5)")
    add("--seconds", type=float, metavar="S", help="length of one turn (default 3)")
    add("--quick", action="store_true", help="one short round of small loads: a smoke test")
    add("--alone", action="store_true", help="our pool only, even where PgBouncer is installed")
    add(
        "--program",
        type=_program,
        action="append",
        default=[],
        metavar="NAME=COMMAND",
        help="start this one, too: COMMAND FILE.ini (another build or version)",
    )
    add(
        "--peer",
        type=_peer,
        action="append",
        default=[],
        metavar="NAME=HOST:PORT,PID",
        help="a pooler that runs already",
    )
    add("--postgres", metavar="URL", help="the server to use; default: one of our own")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--pure", action="store_true", help="our pool without compiled modules")
    form.add_argument("--compiled", action="store_true", help="insist on compiled modules")
    add("--instructions", action="store_true", help="count instructions, too (slow)")
    add("--output", type=Path, default=Path("benchmark-results"), metavar="DIR")
    return parser


def _scale(quick: bool, clients: tuple[int, ...] | None, seconds: float | None) -> Scale:
    if quick:
        return Scale.quick(clients, seconds)
    usual = Scale()
    return Scale(
        clients=clients or usual.clients, seconds=usual.seconds if seconds is None else seconds
    )


def _sides(
    pure: bool, compiled: bool, alone: bool, programs: Sequence[tuple[str, str]], peers: list[Peer]
) -> tuple[Side, ...]:
    """Ours, the PgBouncer of this machine, what the command line adds."""
    sides: list[Side] = [our_pool(pure, compiled)]
    pgbouncer = shutil.which("pgbouncer") or shutil.which(_DEBIAN_PGBOUNCER)
    if pgbouncer is not None and not alone:
        sides.append(other_program("pgbouncer", (pgbouncer,)))
    sides += [other_program(name, tuple(shlex.split(command))) for name, command in programs]
    return (*sides, *peers)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(_positive(part) for part in text.split(","))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _program(text: str) -> tuple[str, str]:
    name, equals, command = text.partition("=")
    if not equals or not command or name in ("", OURS):
        raise argparse.ArgumentTypeError(f"expected NAME=COMMAND, NAME other than {OURS}")
    return name, command


def _peer(text: str) -> Peer:
    name, equals, place = text.partition("=")
    address, comma, pid = place.rpartition(",")
    host, colon, port = address.rpartition(":")
    if not (equals and comma and colon and port.isdecimal() and pid.isdecimal()):
        raise argparse.ArgumentTypeError("expected NAME=HOST:PORT,PID")
    return Peer(name=name, host=host, port=int(port), pid=int(pid))
