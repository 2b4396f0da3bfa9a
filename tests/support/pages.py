"""Pages of the documentation that are made from the code, so that they cannot drift from it.

`python -m tests.support.pages` writes them; a test compares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from tests.support.console_page import console_page
from tests.support.hard_cases import hard_cases_page
from trio_pool.config import SETTINGS, Setting
from trio_pool.config.databases import KEYS
from trio_pool.config.users import USER_KEYS

DOCS = Path(__file__).parent.parent.parent / "docs"


def settings_page() -> str:
    """Every setting, with its default and what it does here."""
    return f"""# Settings

Made from `trio_pool/config/table.py`; do not edit. Names, values and defaults are PgBouncer 1.25's.
Times are seconds and may be fractional, sizes are bytes, flags are 0 or 1.

## [pgbouncer]

| setting | value | default | here |
|---|---|---|---|
{_rows(SETTINGS.values())}

## [databases]

{_keys(KEYS)}

## [users]

{_keys(USER_KEYS)}
"""


def _rows(settings: Iterable[Setting]) -> str:
    return "\n".join(_row(setting) for setting in settings)


def _row(setting: Setting) -> str:
    here = setting.effect.value
    if setting.reason:
        here += f": {setting.reason}"
    cells = (f"`{setting.name}`", setting.kind.expected, _code(setting.default), here)
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`{text}`" if text else "(empty)"


def _keys(keys: Collection[str]) -> str:
    return "\n".join(f"- `{key}`" for key in sorted(keys))


PAGES: Mapping[str, Callable[[], str]] = {
    "console.md": console_page,
    "hard_cases.md": hard_cases_page,
    "settings.md": settings_page,
}


def main() -> None:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page())


if __name__ == "__main__":
    main()
