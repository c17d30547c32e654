"""The one kind of error for what the user can mend."""

from __future__ import annotations


class UserError(Exception):
    """A mistake in a config, a file or the environment; its text is one line that says what to do."""

    def __init__(self, message: str):
        super().__init__(" ".join(str(message).split()))

    def _render_traceback_(self) -> list[str]:
        """Return what a notebook shows: the one line, as a command does."""
        return [f"error: {self}"]


def refused(error: OSError) -> UserError:
    """Return in one line what the system refuses, as a full disk."""
    return UserError(f"{error.filename or 'system'}: {error.strerror or error}")
