"""One run: all recorded scripts in each mode, then random ones, until time or scripts run out.

Both sides are played by the same code. Whatever a difference has left on the backends is
removed before the next script, so that one fault is reported once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

import attrs
import trio

from protocol.frontend import query
from trio_pool.conform import world
from trio_pool.conform.adversaries import Both, Harmed, Noise, Rotation
from trio_pool.conform.client import PATIENCE_SECONDS, Client, QueryFailed, Refused
from trio_pool.conform.compare import (
    BYSTANDER,
    Difference,
    Seen,
    first_difference,
    never_ends,
    resolved,
)
from trio_pool.conform.play import Adversary, Connect, Nobody, play
from trio_pool.conform.replies import letters
from trio_pool.conform.report import Report
from trio_pool.conform.script import Script
from trio_pool.conform.seats import Seats
from trio_pool.conform.world import Contents, changes, contents, make_anew, restore_tables
from trio_pool.proof import Door

ROTATION: Final = "rotation"
MODES: Final = (ROTATION, "noise", "trickle", "still")
CLIENTS_MAX: Final = 3
_TRICKLE_BYTES: Final = 3
_CAPACITY_PATIENCE: Final = 2.0


@attrs.frozen
class Level:
    """How much is played; `seconds` bounds the whole run.

    Random scripts are played on so many `lanes` at once, each with a database of its own.
    """

    name: str
    modes: tuple[str, ...]
    examples: int
    seeds: int
    seconds: float
    lanes: int = 1


QUICK: Final = Level("quick", (ROTATION,), 300, 1, 60.0)
DEFAULT: Final = Level("default", MODES, 2_000, 1, 600.0)
THOROUGH: Final = Level("thorough", MODES, 50_000, 3, 12 * 3600.0, lanes=4)


@attrs.define(eq=False)
class Campaign:
    """Both doors, a superuser behind the direct one, and what was found so far."""

    direct: Door
    via: Door
    admin: Client
    report: Report
    deadline: float
    backends: int = attrs.field(init=False, default=0)
    _rotations: dict[int, Rotation] = attrs.field(init=False, factory=dict)
    _noise: Noise | None = attrs.field(init=False, default=None)
    _seats: dict[Door, Seats] = attrs.field(init=False, factory=dict)
    # What random scripts find; None for a database of which nothing is known.
    _as_made: Contents | None = attrs.field(init=False, default=None)
    _expected: dict[str, tuple[Script, Seen]] = attrs.field(init=False, factory=dict)

    @property
    def out_of_time(self) -> bool:
        return trio.current_time() >= self.deadline

    async def begin(self) -> None:
        """Find out how many backends the pooler lends at once. Raises Refused."""
        crew: list[Client] = []
        try:
            while len(crew) < 2 * CLIENTS_MAX:
                client = await Client.open(self.via, patience=_CAPACITY_PATIENCE)
                crew.append(client)
                if letters(await client.ask(query(b"begin"))) != "C Z":
                    break
                self.backends = len(crew)
        finally:
            for client in crew:
                client.close()
        if not self.backends:
            raise Refused("the pooler did not lend a single backend")
        for client in crew:
            client.patience = PATIENCE_SECONDS

    async def play_recorded(self, scripts: Iterable[Script], mode: str, until: float) -> None:
        """Play these scripts in one mode, as far as that can be done until then."""
        for script in scripts:
            if trio.current_time() >= until:
                self._skip("time ran out")
            elif self._needs(script, mode) > self.backends:
                self._skip(f"more than {self.backends} backends needed at once ({mode})")
            else:
                self._note(await self.compare(script, mode), mode, script)

    async def compare(self, script: Script, mode: str) -> Difference | None:
        """Play one script on both sides; what differed first."""
        script, expected = await self._directly(script)
        if script.fresh:
            await self._clean_up()
        chunk = _TRICKLE_BYTES if mode == "trickle" else 0
        adversary = self._adversary(mode, script.at_once)
        try:
            through = await self._seen(script, self.via, chunk, adversary)
        except (Harmed, QueryFailed) as harm:
            # A query of ours that fails has met a lock which a client that is gone still holds.
            found: Difference | None = Difference(
                script, len(script.steps), -1, BYSTANDER, (), (str(harm),)
            )
        else:
            found = first_difference(script, expected, through)
        if found is None:
            return None
        await self._clean_up()
        return attrs.evolve(found, mode=mode)

    async def close(self) -> None:
        """Send everybody home."""
        for rotation in self._rotations.values():
            await rotation.dismiss()
        self._rotations.clear()
        if self._noise is not None:
            await self._noise.dismiss()
            self._noise = None
        for seats in self._seats.values():
            await seats.dismiss()

    async def _seen(self, script: Script, door: Door, chunk: int, adversary: Adversary) -> Seen:
        """Play a script; recorded ones with clients that are new, and in tables that are."""
        recorded = bool(script.cases or script.scenarios)
        changing = recorded or changes(script)
        await self._set_up(recorded)
        if recorded:
            trace = await play(script, self._connect(door, chunk), self.admin, adversary)
        else:
            seats = self._seats.setdefault(door, Seats(door))

            async def take(parameters: dict[str, str]) -> Client:
                return await seats.take(parameters, chunk)

            trace = await play(script, take, self.admin, adversary, seats.give_back)
        if not changing:
            return Seen(trace, {})
        left = await contents(self.admin)
        if self._as_made is not None and left.versions != self._as_made.versions:
            await restore_tables(self.admin, left, self._as_made)
            self._as_made = await contents(self.admin)
        return Seen(trace, left.rows)

    async def _set_up(self, recorded: bool) -> None:
        """Make everything anew for a recorded script, and for the first of random ones."""
        if recorded:
            self._as_made = None
            await make_anew(self.admin)
        elif self._as_made is None:
            await make_anew(self.admin)
            self._as_made = await contents(self.admin)

    async def _directly(self, script: Script) -> tuple[Script, Seen]:
        """What direct connections show; asked once for each recorded script."""
        known = self._expected.get(script.title)
        if known is not None:
            return known
        expected = await self._seen(script, self.direct, 0, Nobody())
        found = resolved(script, expected), expected
        if script.cases or script.scenarios:
            self._expected[script.title] = found
        if never_ends(expected):
            self._skip("a step of the script never ended on a direct connection")
        return found

    def _needs(self, script: Script, mode: str) -> int:
        return script.at_once * (2 if mode == ROTATION else 1)

    def _connect(self, door: Door, chunk: int) -> Connect:
        async def connect(parameters: dict[str, str]) -> Client:
            return await Client.open(door, parameters, chunk)

        return connect

    def _adversary(self, mode: str, at_once: int) -> Adversary:
        if mode == "noise":
            return self._noise_maker()
        if mode == ROTATION:
            return self._rotation(at_once)
        if mode == "both":
            return Both(self._noise_maker(), self._rotation(at_once))
        return Nobody()

    def _noise_maker(self) -> Noise:
        if self._noise is None:
            self._noise = Noise(self._connect(self.via, 0))
        return self._noise

    def _rotation(self, at_once: int) -> Rotation:
        if at_once not in self._rotations:
            self._rotations[at_once] = Rotation(self._connect(self.via, 0), at_once)
        return self._rotations[at_once]

    async def _clean_up(self) -> None:
        self._as_made = None
        await self.close()
        await world.end_all_others(self.admin)

    def _note(self, difference: Difference | None, mode: str, script: Script) -> None:
        self.report.played[mode] = self.report.played.get(mode, 0) + 1
        if difference is None:
            return
        if script.gap:
            self.report.gaps[script.gap] = self.report.gaps.get(script.gap, 0) + 1
        else:
            self.report.differences.append(difference)

    def _skip(self, reason: str) -> None:
        self.report.skipped[reason] = self.report.skipped.get(reason, 0) + 1


def a_seed() -> int:
    """A seed for a run that was given none."""
    return random.SystemRandom().randrange(1 << 32)
