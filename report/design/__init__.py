"""The page of a search: the front and what is behind it, what matters, and what it is worth (docs/design.md)."""
