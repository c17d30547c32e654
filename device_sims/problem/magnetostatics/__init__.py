"""Stray fields in closed form: the tensor of cells, that of a whole body, and the ends of a track."""
