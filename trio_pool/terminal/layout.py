"""Tables, figures and the screen of `top`, as text of a given width. Belongs to the decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

Record = Mapping[str, str | None]

# SGR codes (ECMA-48), for whoever wants colours.
_CODES: Final = {
    "bold": "1",
    "quiet": "2",
    "active": "34",
    "idle": "32",
    "waiting": "33",
    "bad": "31",
}
_BAR_WIDTH: Final = 20


@attrs.frozen
class Look:
    """How wide the screen is, and whether it has colours."""

    columns: int = 80
    lines: int = 24
    colours: bool = False

    def painted(self, text: str, kind: str) -> str:
        """A text in the colour of its kind."""
        return f"\x1b[{_CODES[kind]}m{text}\x1b[0m" if self.colours and text else text


@attrs.frozen
class Picture:
    """What one look at a pooler found; `at` is a monotonic clock in seconds.

    `pins` and `own` (SHOW TRIO_POOL) are None where the pooler has no such tables.
    """

    at: float
    version: str
    pools: Sequence[Record]
    databases: Sequence[Record]
    totals: Sequence[Record]
    pins: Sequence[Record] | None = None
    own: Mapping[str, str | None] | None = None


def table(columns: Sequence[str], rows: Sequence[Sequence[str | None]]) -> list[str]:
    """Lines as psql writes them: a head, a rule, the rows, and how many there are."""
    cells = [[plain(value or "") for value in row] for row in rows]
    widths = [
        max([len(name), *(len(row[index]) for row in cells)]) for index, name in enumerate(columns)
    ]
    lines = [
        " " + " | ".join(name.center(width) for name, width in zip(columns, widths, strict=True))
    ]
    lines.append("-" + "-+-".join("-" * width for width in widths) + "-")
    for row in cells:
        fields = [
            text.rjust(width) if _is_number(text) else text.ljust(width)
            for text, width in zip(row, widths, strict=True)
        ]
        lines.append(" " + " | ".join(fields))
    count = len(rows)
    return [*(line.rstrip() for line in lines), f"({count} row{'' if count == 1 else 's'})"]


def plain(text: str) -> str:
    """The text without what a terminal would obey: names come from clients."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdigit()


def number(record: Record, name: str) -> int:
    """A column as a number; 0 where this pooler has none."""
    text = record.get(name) or "0"
    return int(text) if _is_number(text) else 0


def rates(before: Picture | None, now: Picture) -> dict[str, float]:
    """What happened per second between two pictures, all databases together; waits in seconds."""
    seconds = now.at - before.at if before is not None else 0.0
    names = ("xact_count", "query_count", "bytes_received", "bytes_sent", "wait_time")
    if before is None or seconds <= 0:
        return dict.fromkeys(names, 0.0)
    older = {record["database"]: record for record in before.totals}
    found = {}
    for name in names:
        change = 0
        for record in now.totals:
            past = older.get(record["database"])
            change += number(record, name) - (number(past, name) if past is not None else 0)
        found[name] = max(0.0, change / seconds)
    found["wait_time"] /= 1_000_000
    return found


def screen(before: Picture | None, now: Picture, place: str, look: Look) -> list[str]:
    """Everything, cut to the size of the screen."""
    own = f", trio-pool {now.own.get('version')}" if now.own is not None else ""
    head = f"{plain(place)}  {plain(now.version)}{plain(own)}"
    lines = [look.painted(_cut(head, look.columns), "bold"), _figures(rates(before, now), look), ""]
    lines += _pools(before, now, look)
    if now.pins:
        lines += ["", look.painted("PINS", "bold")]
        lines += [_cut(_pin(pin), look.columns) for pin in now.pins]
    return lines[: max(1, look.lines - 1)]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _figures(found: Mapping[str, float], look: Look) -> str:
    texts = (
        f"{found['xact_count']:.0f} transactions/s",
        f"{found['query_count']:.0f} queries/s",
        f"in {_bytes(found['bytes_received'])}/s",
        f"out {_bytes(found['bytes_sent'])}/s",
        f"waiting {found['wait_time']:.2f} s/s",
    )
    return _cut("   ".join(texts), look.columns)


def _bytes(amount: float) -> str:
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def _pools(before: Picture | None, now: Picture, look: Look) -> list[str]:
    heads = ("DATABASE", "USER", "CLIENTS", "WAIT", "MAXWAIT", "LENT", "IDLE", "OTHER")
    sizes = {record["name"]: number(record, "pool_size") for record in now.databases}
    held = {
        record["name"]: "paused" if number(record, "paused") else "disabled"
        for record in now.databases
        if number(record, "paused") or number(record, "disabled")
    }
    rows = [_pool(record) for record in now.pools if record["database"] != "pgbouncer"]
    widths = [max([len(head), *(len(row[i]) for row in rows)]) for i, head in enumerate(heads)]
    widths = [min(width, max(8, look.columns // 5)) for width in widths]
    lines = [look.painted(_cut(_line(heads, widths), look.columns), "quiet")]
    room = look.columns - sum(widths) - 2 * len(widths) - 2
    for row, record in zip(
        rows, (r for r in now.pools if r["database"] != "pgbouncer"), strict=True
    ):
        line = _cut(_line(row, widths), look.columns)
        if number(record, "cl_waiting"):
            line = look.painted(line, "waiting")
        state = held.get(record["database"], "")
        if state and room > len(state):
            line += "  " + look.painted(state, "bad")
        elif room >= _BAR_WIDTH:
            line += "  " + _bar(record, sizes.get(record["database"], 0), look)
        lines.append(line)
    return lines


def _pool(record: Record) -> tuple[str, ...]:
    others = ("sv_used", "sv_tested", "sv_login", "sv_active_cancel", "sv_being_canceled")
    seconds = number(record, "maxwait") + number(record, "maxwait_us") / 1_000_000
    return (
        plain(record["database"] or ""),
        plain(record["user"] or ""),
        str(number(record, "cl_active") + number(record, "cl_waiting")),
        str(number(record, "cl_waiting")),
        f"{seconds:.1f} s" if seconds else "-",
        str(number(record, "sv_active")),
        str(number(record, "sv_idle")),
        str(sum(number(record, name) for name in others)),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    fields = [
        cell[:width].ljust(width) if index < 2 else cell[:width].rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(fields)


def _bar(record: Record, size: int, look: Look) -> str:
    """Backends as a bar: lent, there, and still to be opened."""
    lent, idle = number(record, "sv_active"), number(record, "sv_idle") + number(record, "sv_used")
    every = max(size, lent + idle, 1)
    full = round(_BAR_WIDTH * lent / every)
    ready = min(round(_BAR_WIDTH * idle / every), _BAR_WIDTH - full)
    rest = "·" * (_BAR_WIDTH - full - ready)
    return look.painted("█" * full, "active") + look.painted("▒" * ready, "idle") + rest


def _pin(pin: Record) -> str:
    who = f"client {pin['client_id']} of {pin['database']} for {pin['seconds']} s"
    return plain(f"{who}: {pin['reason']}: {pin['statement']}")
