"""Stage 1: micromagnetic sweeps of write events."""
