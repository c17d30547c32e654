"""Sphinx: how `make docs` builds the site from the pages of this folder."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from spinloom.version import VERSION  # noqa: E402  (found by the line above)

project = "Spinloom"
author = "The Spinloom authors"
copyright = author
version = release = VERSION

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton", "sphinxarg.ext"]
exclude_patterns = ["examples"]
suppress_warnings = ["myst.header"]  # a page that is included begins with its own title
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
copybutton_prompt_text = "$ "  # a block of commands and what they show: the commands are copied
copybutton_line_continuation_character = "\\"

html_theme = "furo"
html_title = f"Spinloom {VERSION}"
html_show_sphinx = False

# files outside this folder that are pages of the site; a link to one leads to its page
PAGES = {
    "../results/README.md": "reference/tables.md",
    "../CONTRIBUTING.md": "contributing.md",
    "../CHANGELOG.md": "changes.md",
}


def link_pages(app, name, text):
    """Let links to files that are pages lead to these pages."""
    up = "../" * name.count("/")
    for file, page in PAGES.items():
        text[0] = text[0].replace(f"]({up}{file}", f"]({up}{page}")


def setup(app):
    """Register what belongs to this site alone."""
    app.connect("source-read", link_pages)
