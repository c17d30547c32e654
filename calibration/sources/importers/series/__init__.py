"""Columns of readings after pulses -> readings of each device in order (`sequence`) -> writes to count (`writes`)."""
