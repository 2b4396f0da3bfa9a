"""`trio-pool migrate`: what becomes of each line of a file of PgBouncer's, and what can go.

Nothing is written: a file that PgBouncer reads is read as it is. The exit status is 0 when it can
be served, 1 when it cannot, and the reason has then been said.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import attrs

from trio_pool.config import SETTINGS, Config, ConfigError, Effect, load_config
from trio_pool.config.ini import Entry, read_ini
from trio_pool.config.ldap_options import without_password
from trio_pool.config.load import read_text
from trio_pool.config.workarounds import why_not_needed


@attrs.frozen
class Fate:
    """What becomes of one setting: `advice` is why it can be deleted."""

    name: str
    value: str
    here: str
    where: str
    reason: str
    advice: str | None

    @property
    def line(self) -> str:
        """For a person."""
        return f"  {self.where}: {self.name} = {self.value}"


def migrate(file: str, *, as_json: bool = False) -> int:
    """Say what becomes of each setting of the file; the exit status."""
    try:
        config = load_config(file)
        fates = _fates(list(read_ini(Path(file), read_text)))
    except ConfigError as error:
        print(f"trio-pool: {error}", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps(_report(file, config, fates), indent=2))
        return 0
    print(f"{len(config.databases)} databases and {len(config.users)} users are taken as they are")
    effective = [fate for fate in fates if fate.here == Effect.NOW.value and not fate.advice]
    _print("in effect", [fate.line for fate in effective])
    ignored = [fate for fate in fates if fate.here == Effect.NEVER.value]
    _print("ignored, and can be deleted", [f"{fate.line}: {fate.reason}" for fate in ignored])
    needless = [fate for fate in fates if fate.advice]
    _print("in effect, but not needed here", [f"{fate.line}: {fate.advice}" for fate in needless])
    print(f"start it with: trio-pool {file}")
    return 0


def _fates(entries: list[Entry]) -> list[Fate]:
    """Of each setting, in its last place in the file: that is the one that counts."""
    last = {entry.key: entry for entry in entries if entry.section == "pgbouncer"}
    return [_fate(entry) for _, entry in sorted(last.items())]


def _fate(entry: Entry) -> Fate:
    setting = SETTINGS[entry.key]
    return Fate(
        name=entry.key,
        value=without_password(entry.value),
        here=setting.effect.value,
        where=f"{entry.path}:{entry.line}",
        reason=setting.reason,
        advice=why_not_needed(entry.key, entry.value),
    )


def _print(title: str, lines: list[str]) -> None:
    print(f"{title}: {len(lines)}")
    for line in lines:
        print(line)


def _report(file: str, config: Config, fates: list[Fate]) -> dict[str, object]:
    counts = {"databases": len(config.databases), "users": len(config.users)}
    return {"file": file, **counts, "settings": [attrs.asdict(fate) for fate in fates]}
