"""The programs in the pages of the documentation, for tests that run them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets(page: str, language: str) -> list[str]:
    """Every fenced block of this language in a page, named from the top of the tree."""
    text = (ROOT / page).read_text()
    return [body for kind, body in _FENCE.findall(text) if kind == language]
