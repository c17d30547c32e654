"""Named random streams.

Every random number of the project comes from a stream that is named by the study's seed and by what the
number is for, never by when or where it is drawn: ``key(seed, "thermal", voltage, instance, replica)``.
The name is hashed (BLAKE2b, 128 bits) into the key of a counter-based generator (Salmon et al., SC'11),
so streams do not depend on order, batch size or number of processes. The functions below take the name, the seed first.
"""

from __future__ import annotations

import hashlib

import numpy as np

from spinloom.files import canonical_json

Name = str | int | float | bool | None


def digest(*name: Name) -> np.ndarray:
    """Return the 128-bit key of a stream as ``uint32[4]``."""
    text = canonical_json(name)
    return np.frombuffer(hashlib.blake2b(text.encode(), digest_size=16).digest(), dtype="<u4").astype(np.uint32)


def generator(*name: Name) -> np.random.Generator:
    """Return a NumPy generator (Philox) on the named stream."""
    return np.random.Generator(np.random.Philox(key=digest(*name).view(np.uint64)))


def key(*name: Name):
    """Return a typed JAX key (threefry4x32, 128 bits) on the named stream."""
    import jax  # imported here: planning a sweep needs streams but must not pay for JAX

    return jax.random.wrap_key_data(jax.numpy.asarray(digest(*name)), impl="threefry4x32")
