"""The search for a device, its pulses and its training: which points are tried next, and what came out.

`config` declares what a user says, `space` makes studies of it, `chooser` asks Optuna, `runs` lets Snakemake make the
points, `search` is the loop. The rest says what was found.
"""
