"""The programs, files and commands in the pages of the documentation, for tests that run them.

A block that no test can run says so on the line in front of it, in a comment that readers do not
see: `<!-- not run: REASON -->`, or `<!-- run by: FILE -->` where another file of this tree
runs it. All others are carried out by `tests/test_snippets.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

import attrs

ROOT = Path(__file__).parent.parent.parent
PAGES = ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
# Which tests run the blocks of a page in a language, where they are no story.
ELSEWHERE = {
    ("docs/embedding.md", "python"): "tests/embedding/test_page.py",
    ("docs/metrics.md", "ini"): "tests/shell/test_metrics.py",
    ("docs/pytest.md", "ini"): "tests/embedding/test_pytest_page.py",
    ("docs/pytest.md", "python"): "tests/embedding/test_pytest_page.py",
    ("docs/pytest.md", "sh"): "tests/embedding/test_pytest_page.py",
    ("docs/pytest.md", "text"): "tests/embedding/test_pytest_page.py",
}
# The languages that are carried out; a text is a file, or is shown by a test.
TOLD = ("sh", "ini", "python", "text")
_BLOCK = re.compile(
    r"^(?:<!-- (?P<how>not run|run by): (?P<why>.+?) -->\n)?"
    r"```(?P<language>[^\n]*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


@attrs.frozen
class Block:
    """A fenced block; `excuse` is why it is not run, `run_by` the file that runs it."""

    page: str
    language: str
    body: str
    excuse: str | None = None
    run_by: str | None = None

    @property
    def name(self) -> str | None:
        """The name of the file that it is, by its first line."""
        found = re.match(r"[;#] (\S+\.\w+)\n", self.body)
        return None if found is None else found[1]

    @property
    def commands(self) -> list[str]:
        """The lines of a shell, continued ones joined, without comments."""
        lines = self.body.replace("\\\n", " ").splitlines()
        return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(page: str) -> list[Block]:
    """Every block of a page (named from the top of the tree) that is not an order to Sphinx."""
    found = []
    for match in _BLOCK.finditer((ROOT / page).read_text()):
        how, why = match["how"], match["why"]
        excuse = why if how == "not run" else None
        run_by = why if how == "run by" else ELSEWHERE.get((page, match["language"]))
        if not match["language"].startswith("{"):
            found.append(Block(page, match["language"], match["body"], excuse, run_by))
    return found


def snippets(page: str, language: str) -> list[str]:
    """Every block of this language in a page, named from the top of the tree."""
    return [block.body for block in blocks(page) if block.language == language]
