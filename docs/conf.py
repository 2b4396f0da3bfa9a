"""How the pages become a site: `sphinx-build -W docs build/site`."""

import re
from pathlib import Path

_PROJECT = (Path(__file__).parent.parent / "pyproject.toml").read_text()

project = "trio-pool"
release = re.findall(r'^version = "(.+)"$', _PROJECT, re.MULTILINE)[0]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 3

nitpicky = True

html_theme = "furo"
html_title = f"trio-pool {release}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_permalinks_icon = "#"
