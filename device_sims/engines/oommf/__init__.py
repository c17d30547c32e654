"""OOMMF as an engine, driven through ubermag.

`limits` says what it can do, `program` finds and starts it, `model` translates a problem, `engine` runs it. Only the
last two import ubermag, which takes seconds.
"""
