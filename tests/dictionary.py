"""What the data dictionary, `results/README.md`, says of a table."""

import re
from pathlib import Path

DICTIONARY = Path(__file__).parent.parent / "results" / "README.md"


def documented(heading: str) -> list[str]:
    """Return the columns listed under the heading that begins with ``heading``, in order."""
    section = DICTIONARY.read_text().split(f"### `{heading}`", 1)[1].split("\n#", 1)[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
