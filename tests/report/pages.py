"""A page as a browser sees it: what is in it, and what a real one makes of it."""

from __future__ import annotations

import html.parser
import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page(html.parser.HTMLParser):
    """What a browser would make of the page, without running anything."""

    def __init__(self, text):
        super().__init__()
        self.sections, self.plots, self.addresses, self.texts, self.scripts = [], [], [], [], []
        self.menus, self.pictures = {}, []  # numbers of choices by figure; data URIs
        self.inside = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.inside = tag
        if tag == "section":
            self.sections.append(attributes["id"])
        if attributes.get("class") == "plot":
            self.plots.append(attributes["data-figure"])
        if tag == "script":
            self.scripts.append("")
        if tag == "select":
            self.menu = self.menus.setdefault(attributes["data-figure"], [])
            self.menu.append(0)
        if tag == "option":
            self.menu[-1] += 1
        if tag == "img":
            self.pictures.append(attributes.pop("src"))
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts[-1] += data
        elif self.inside != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def browse(path: Path) -> tuple[str, list[str]]:
    """Return the page as the browser leaves it, and what its console said."""
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,900", "--dump-dom"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=20000", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)
