"""Common ground of the three stages: errors, atomic files, random streams, progress, config.

Nothing here knows what a magnet, a table or a network is.
"""
