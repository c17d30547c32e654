"""Pictures of the magnetisation: a few thinned snapshots of a write, stored in one file, as a strip or an animation."""
