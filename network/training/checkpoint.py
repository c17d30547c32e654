"""Checkpoints: the whole state of a run after an epoch, written atomically, read without pickle.

A checkpoint belongs to one identity (config, card, data, rule, replicate, code). One of another identity is not used:
the run then starts anew, so what is in a folder never changes the bytes of a result.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from spinloom import sources
from spinloom.files import atomic, canonical_json, sha256_text


def identity(modules: Iterable[str], **parts: Any) -> str:
    """Return the hash that names a run.

    Parameters
    ----------
    modules : iterable of str
        From which the run starts: a checkpoint does not outlive a change of their code, or of a package's version.
    **parts
        JSON values that decide the run's course.
    """
    return sha256_text(canonical_json({**parts, "code": sources.identity(*modules)}))


def save(path: Path, name: str, state: Any, record: dict) -> None:
    """Write ``state`` (a pytree of arrays) and ``record`` (JSON: what has been measured so far)."""
    leaves = {f"leaf_{i:04d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
    text = np.frombuffer(json.dumps({"identity": name, "record": record}).encode(), dtype=np.uint8)
    with atomic(path) as temporary:
        np.savez(temporary, allow_pickle=False, header=text, **leaves)


def load(path: Path, name: str, like: Any) -> tuple[Any, dict] | None:
    """Return the state and record stored at ``path``, or None if there is no usable one.

    Parameters
    ----------
    path : Path
    name : str
        Identity of the run; a checkpoint of another run is not used.
    like : pytree
        State of the same structure, for shapes and dtypes.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(file["header"].tobytes())
            if header["identity"] != name:
                return None
            leaves, tree = jax.tree.flatten(like)
            stored = [file[f"leaf_{i:04d}"] for i in range(len(leaves))]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    if any(a.shape != b.shape or a.dtype != b.dtype for a, b in zip(stored, leaves, strict=True)):
        return None
    return jax.tree.unflatten(tree, [jnp.asarray(leaf) for leaf in stored]), header["record"]
