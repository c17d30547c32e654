"""OOMMF as an engine, driven through ubermag.

`limits` says what it can do, `program` finds and starts it, `model` translates a problem, `engine` runs it. Only `model`
and `engine` import ubermag, which takes seconds.
"""
