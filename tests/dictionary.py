"""What the data dictionary, `results/README.md`, says of a table."""

from workflow.study import package


def documented(heading: str) -> list[str]:
    """Return the columns listed under the heading that begins with ``heading``, in order."""
    return [column.name for column in package.documented(heading)]
