"""Runs that a program has finished: its table and its snapshots, and what the write in it did.

A run is told by mumax3 (``table.txt``, OVF), OOMMF and ubermag (``.odt``, ``.omf``), mumax+ (a table of its time
solver), or `python -m device_sims run` (``table.csv``, OVF). `tables` reads a table, `places` finds the files of a run,
`reading` declares what the user says of them, `write` says what the write did.
"""
