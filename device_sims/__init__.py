"""Stage 1: micromagnetic sweeps of write events."""

import spinloom  # noqa: F401  (before any package: it says which are missing)
