"""mumax3's scripts as problem files: ``python -m device_sims translate`` (docs/from_mumax3.md).

`language` reads a script, `machine` follows it without any simulation, and `problem` writes what it set up. Every
statement ends up in the problem, in the report of what was left out, or in the refusal of the whole script.
"""
