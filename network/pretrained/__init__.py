"""Weights of a network that was trained elsewhere."""
