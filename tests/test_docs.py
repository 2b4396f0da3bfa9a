"""The pages are those that the code makes, and together they make a site without a warning."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.pages import DOCS, PAGES
from tests.support.snippets import PAGES as ALL_PAGES
from tests.support.snippets import ROOT, TOLD, blocks

LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_from_the_code_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: python -m tests.support.pages"


def test_the_pages_make_a_site_without_a_warning(tmp_path: Path) -> None:
    """With the command of docs/contributing.md. A page in no table of contents is a warning."""
    (told,) = [
        block.commands[-1]
        for block in blocks("docs/contributing.md")
        if block.run_by == "tests/test_docs.py"
    ]
    program, *flags, source, _ = told.split()
    assert program == "sphinx-build"
    words = [*flags, "-q", "-d", str(tmp_path / "doctrees"), source, str(tmp_path / "site")]

    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, f"{told}\n{done.stderr}"
    made = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert made >= {path.stem for path in DOCS.glob("*.md")}
    assert (tmp_path / "site" / "_images" / "dashboard.png").is_file()


@pytest.mark.parametrize("page", ["README.md", "examples/README.md", "fuzz/README.md"])
def test_what_a_readme_links_to_is_there(page: str) -> None:
    links = LINK.findall((ROOT / page).read_text())

    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    links = set(LINK.findall((ROOT / "README.md").read_text()))

    assert {f"docs/{path.name}" for path in DOCS.glob("*.md")} - {"docs/index.md"} <= links


@pytest.mark.parametrize("page", ALL_PAGES)
def test_every_block_is_run_or_says_why_it_cannot_be(page: str) -> None:
    for block in blocks(page):
        assert block.language in (*TOLD, "console", "yaml"), f"what is this? {block.body}"
        if block.run_by is not None:
            assert (ROOT / block.run_by).is_file()
        if block.run_by == ".ci/run":
            told = (ROOT / block.run_by).read_text()
            assert all(line in told for line in block.body.splitlines())
        if block.language == "text" and not (block.run_by or block.excuse):
            assert block.name, f"a text is a file, or shown by a test: {block.body}"
