"""What was found, as a table for people and as JSON for programs, and a script to paste."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from protocol import frontend
from protocol.errors import ProtocolViolation
from trio_pool.conform.compare import MESSAGES, Difference
from trio_pool.conform.normalise import ACCEPTED
from trio_pool.conform.replies import letters
from trio_pool.conform.script import Await, Cancel, Join, Leave, Meanwhile, Say, Script, Step

_TEXT_MAX: Final = 120


@attrs.define
class Report:
    """All that one run found. `played` counts runs of scripts by mode, `skipped` says why not."""

    direct: str
    via: str
    level: str
    seed: int
    played: dict[str, int] = attrs.field(factory=dict)
    skipped: dict[str, int] = attrs.field(factory=dict)
    gaps: dict[str, int] = attrs.field(factory=dict)
    differences: list[Difference] = attrs.field(factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether something was played and nothing differed."""
        return not self.differences and bool(self.played)


def as_json(report: Report) -> str:
    """The whole report as one JSON object."""
    return json.dumps(
        {
            "direct": report.direct,
            "via": report.via,
            "level": report.level,
            "seed": report.seed,
            "seconds": round(report.seconds, 1),
            "holds": report.holds,
            "played": report.played,
            "skipped": report.skipped,
            "known_gaps": report.gaps,
            "accepted": [attrs.asdict(accepted) for accepted in ACCEPTED],
            "differences": [_as_object(difference) for difference in report.differences],
        },
        indent=2,
        ensure_ascii=False,
    )


def as_table(report: Report) -> str:
    """One line for each difference, then each with its script, then the sum."""
    lines = [_row("difference", "script", "mode", "how"), _row(*("-" * 10,) * 4)]
    for number, difference in enumerate(report.differences, 1):
        lines.append(_row(str(number), difference.script.title, difference.mode, difference.kind))
    if not report.differences:
        lines = []
    for number, difference in enumerate(report.differences, 1):
        lines += ["", f"--- {number}: {difference.script.title}", to_paste(difference)]
    return "\n".join([*lines, *([""] if lines else []), *_sum(report)])


def to_paste(difference: Difference) -> str:
    """The script up to the difference, and the two answers, to paste into an issue."""
    steps = [
        line
        for step in difference.script.steps[: difference.step + 1]
        for line in _spelled_step(step)
    ]
    answers = (
        f"what differs: {difference.what}, client {difference.client}",
        f"  directly: {_answers(difference, difference.wanted)}",
        f"  through:  {_answers(difference, difference.got)}",
        *(f"  - {item!r}" for item in difference.wanted if item not in difference.got),
        *(f"  + {item!r}" for item in difference.got if item not in difference.wanted),
    )
    return "\n".join([*steps, *answers])


def spelled(script: Script) -> str:
    """Every step of a script, in words."""
    return "\n".join(line for step in script.steps for line in _spelled_step(step))


def _sum(report: Report) -> Iterator[str]:
    played = sum(report.played.values())
    modes = ", ".join(f"{count} {mode}" for mode, count in report.played.items())
    yield f"{played} runs of scripts in {report.seconds:.0f} s ({modes}), seed {report.seed}"
    for reason, count in report.skipped.items():
        yield f"{count} not played: {reason}"
    for reason, count in report.gaps.items():
        yield f"{count} differences of a known kind: {reason}"
    kinds = len({difference.kind for difference in report.differences})
    found = len(report.differences)
    yield f"{found} unexplained differences of {kinds} kinds" if found else "no difference"


def _row(number: str, script: str, mode: str, how: str) -> str:
    return f"{number:>10}  {script[:60]:60}  {mode:10}  {how[:40]}"


def _answers(difference: Difference, items: tuple[object, ...]) -> str:
    if difference.what != MESSAGES:
        return str(len(items))
    return letters([item for item in items if isinstance(item, tuple)]) or "nothing"


def _as_object(difference: Difference) -> Mapping[str, object]:
    return {
        "script": difference.script.title,
        "cases": list(difference.script.cases),
        "mode": difference.mode,
        "step": difference.step,
        "client": difference.client,
        "what": difference.what,
        "kind": difference.kind,
        "directly": [repr(item) for item in difference.wanted],
        "through": [repr(item) for item in difference.got],
        "paste": to_paste(difference),
    }


def _spelled_step(step: Step) -> Iterator[str]:
    match step:
        case Say(client, data, until):
            yield f"client {client} says, and reads until {until or 'later'}:"
            yield from (f"    {message}" for message in spelled_messages(data))
        case Join(client, parameters):
            given = " ".join(f"{name}={value}" for name, value in parameters)
            yield f"client {client} connects {given}".rstrip()
        case Leave(client, reset):
            yield f"client {client} {'resets its connection' if reset else 'is gone'}"
        case Cancel(client):
            yield f"client {client}'s query is cancelled"
        case Meanwhile(sql):
            yield f"meanwhile, directly: {sql}"
        case Await(sql):
            yield f"until it is true, directly: {sql}"


def spelled_messages(data: bytes) -> Iterator[str]:
    """Each message of a client's bytes on a line; what cannot be read, as bytes."""
    while len(data) >= 5:
        stop = 1 + int.from_bytes(data[1:5], "big")
        if stop < 5 or stop > len(data):
            break
        yield _spelled(data[0], data[5:stop])
        data = data[stop:]
    if data:
        yield f"bytes {_short(repr(data))}"


def _spelled(tag: int, body: bytes) -> str:
    try:
        message = frontend.decode(tag, body)
    except ProtocolViolation:
        return f"bytes {chr(tag)!r} {_short(repr(body))}"
    given = attrs.asdict(message, recurse=False).items()
    shown = [f"{name}={_value(value)}" for name, value in given if value not in ((), b"", None, 0)]
    return " ".join([type(message).__name__, *shown])


def _value(value: object) -> str:
    match value:
        case bytes():
            return _short(repr(value).removeprefix("b"))
        case int() if value in (frontend.STATEMENT, frontend.PORTAL):
            return chr(value)
        case _:
            return _short(repr(value))


def _short(text: str) -> str:
    return text if len(text) <= _TEXT_MAX else f"{text[:_TEXT_MAX]}... ({len(text)} characters)"
