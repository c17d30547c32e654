"""Tables as people have them -> columns of known meaning in SI units, whatever file they come in.

``content`` opens a file (text of any dialect, XLSX, Parquet, NPZ, MAT), ``header`` tells names and units from numbers,
``spellings`` tells what a column is, and ``table`` puts them together. ``options`` declares what a user may say
instead of what is guessed. Each guess is told in a note. ``runs`` finds where a trace of readings turns.
"""
