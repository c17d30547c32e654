"""Spinloom from Python: what a notebook needs, reached as ``import spinloom as sl`` (docs/python.md).

It calls what the commands call: a study or a training that starts here gives the same bytes as there.
"""

# ruff: noqa: E402  (JAX reads the environment when it is imported)

import os
import sys
import warnings

from spinloom import compiled

if "jax" in sys.modules and compiled.ONE_THREAD not in os.environ.get("XLA_FLAGS", ""):
    warnings.warn(
        "JAX was imported before Spinloom and may compute on several threads: the last digits of a result may differ "
        "from those of the commands; use Spinloom first",
        stacklevel=3,
    )
compiled.set_up()

from spinloom.errors import UserError
from spinloom_api import card
from spinloom_api.problem import problem, run
from spinloom_api.study import study
from spinloom_api.training import train

__all__ = ["UserError", "card", "problem", "run", "study", "train"]
