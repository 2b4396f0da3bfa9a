"""Pages made from the code are those that the code makes."""

from __future__ import annotations

import pytest

from tests.support.pages import DOCS, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_made_from_the_code_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == PAGES[name](), "run: python -m tests.support.pages"
