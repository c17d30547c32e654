"""What became of each statement of a script, for the reader."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Report:
    """What became of statements: left out with a reason, changed as is said, or refused; by line, counted."""

    left_out: Counter[tuple[int, str]] = field(default_factory=Counter)
    notes: Counter[tuple[int, str]] = field(default_factory=Counter)
    refused: Counter[tuple[int, str]] = field(default_factory=Counter)


def in_words(report: Report, source: Path, lines: list[str], written: list[Path]) -> str:
    """Return the report: what was written, and each line that was left out, changed or refused, with the reason."""
    told = [f"{source.name} -> {', '.join(path.name for path in written) or 'nothing'}"]
    parts = (
        ("cannot be represented", report.refused),
        ("taken over with a change", report.notes),
        ("left out", report.left_out),
    )
    for title, entries in parts:
        if not entries:
            continue
        told += ["", f"{title}:"]
        for (line, reason), count in sorted(entries.items()):
            shown = lines[line - 1].strip() if 0 < line <= len(lines) else ""
            times = f" ({count} times)" if count > 1 else ""
            told.append(f"  line {line}: {shown}" if line else "  as a whole")
            told.append(f"      {reason}{times}")
    return "\n".join(told) + "\n"
