"""Kernel cards of devices that are given by a law and its parameters, without any counted write.

Each module of this package is a kind of device, as is each entry point of the group ``spinloom.parametric``. It defines
``Options``, the keys of its part of the section; ``labels(own)``, the names of its states in ascending conductance;
``pulses(own)``, its pulses; ``kernel(own)``, float64[pulses, states, states]; ``VOLATILE``; ``LAW``, the formula in
words with its source; and, if it needs them, ``complete(own, where)``, which checks and derives, ``extras(own,
pulses)``, further tables, and ``meta(own)``, further entries of ``card.json``. ``own`` is an ``Options``.
"""

from spinloom.registry import Registry

REGISTRY = Registry(
    "calibration.parametric.device",
    __name__,
    words=("Options", "labels", "pulses", "kernel", "VOLATILE", "LAW"),
    shared=("cards", "common", "config", "macrospin", "parts"),
)
