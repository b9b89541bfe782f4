"""Checkpoints: seeds in training, on disk, so that a killed run goes on.

A file lies in the folder of its setting, which says what decides the bits:

    _checkpoint-<digest of its seeds>.bin

    one line: what this is | SHA-256 of the rest
    one line: JSON with seeds, step, and path, dtype and shape of every array
    the arrays' bytes, one after the other

Arrays keep their dtype (bfloat16, too). A file is written whole or not at all,
and removed once all its seeds are stored. A broken one, or one of another
program, is set aside with a warning: its seeds are then trained anew.
"""

from collections.abc import Iterator
import contextlib
import hashlib
import json
import math
import pathlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab.engine import files, store
from initlab.engine.identity import Setting

_MAGIC = b'initlab checkpoint 1'
_PATTERN = '_checkpoint-*.bin'


class Checkpoint(NamedTuple):
  """Seeds in training.

  seeds: `[n]` uint32.
  step: how many steps they have taken.
  tree: a pytree of arrays `[n, ...]`.
  """

  seeds: np.ndarray
  step: int
  tree: Any


def write(setting: Setting, checkpoint: Checkpoint) -> None:
  """Replaces the checkpoint of the same seeds, if there is one.

  Raises:
    UserError: the disk refuses; what was there is as it was.
  """
  digest = hashlib.sha256(checkpoint.seeds.tobytes()).hexdigest()[:12]
  path = setting.path / f'_checkpoint-{digest}.bin'
  files.write_bytes(path, encode(checkpoint))


def read(setting: Setting, template: Any) -> Iterator[Checkpoint]:
  """All checkpoints of a setting, those of the most steps first.

  Args:
    setting: from `store.open_setting`.
    template: the pytree that a checkpoint must have, of anything with a dtype
      and a shape; first axes (seeds) may differ, and second ones where -1.

  Yields:
    Checkpoints; broken ones are set aside with a warning that names them.
  """
  decoded = lambda path: decode(path.read_bytes(), template)
  found = [files.intact(path, decoded) for path in _paths(setting)]
  whole = [checkpoint for checkpoint in found if checkpoint is not None]
  yield from sorted(whole, key=lambda checkpoint: -checkpoint.step)


def clean(setting: Setting) -> None:
  """Removes the checkpoints whose seeds are all stored."""
  for path in _paths(setting):
    seeds = _seeds(path)
    if seeds and not store.missing(setting, seeds).size:
      files.remove(path)


def encode(checkpoint: Checkpoint) -> bytes:
  """A checkpoint as the content of its file."""
  leaves = [
    (jax.tree_util.keystr(path), np.asarray(leaf))
    for path, leaf in jax.tree_util.tree_leaves_with_path(checkpoint.tree)
  ]
  header = {
    'seeds': checkpoint.seeds.tolist(),
    'step': checkpoint.step,
    'arrays': [(path, leaf.dtype.name, leaf.shape) for path, leaf in leaves],
  }
  parts = [json.dumps(header).encode(), b'\n']
  parts += [np.ascontiguousarray(leaf).tobytes() for _, leaf in leaves]
  content = b''.join(parts)
  digest = hashlib.sha256(content).hexdigest().encode()
  return b' '.join([_MAGIC, digest]) + b'\n' + content


def decode(content: bytes, template: Any) -> Checkpoint:
  """The checkpoint that a file holds.

  Raises:
    ValueError: it is truncated, altered, or not of this template.
  """
  header, data = _header(content)
  paths = jax.tree_util.tree_leaves_with_path(template)
  wanted = [
    [jax.tree_util.keystr(path), jnp.dtype(leaf.dtype).name, list(leaf.shape)]
    for path, leaf in paths
  ]
  leaves, start = [], 0
  for _, name, shape in header['arrays']:
    size = math.prod(shape)
    dtype = jnp.dtype(name)
    leaf = np.frombuffer(data, dtype, size, start).reshape(shape)
    start += leaf.nbytes
    leaves.append(leaf)
  if len(wanted) != len(leaves) or not all(
    _fits(*pair) for pair in zip(header['arrays'], wanted, strict=True)
  ):
    raise ValueError('it is of another program')
  tree = jax.tree.unflatten(jax.tree.structure(template), leaves)
  return Checkpoint(np.array(header['seeds'], np.uint32), header['step'], tree)


def _paths(setting: Setting) -> list[pathlib.Path]:
  return sorted(setting.path.glob(_PATTERN))


def _seeds(path: pathlib.Path) -> list[int]:
  """Whose it is, without a look at the arrays; none of what is not whole."""
  broken = contextlib.suppress(OSError, ValueError, LookupError, TypeError)
  with broken, open(path, 'rb') as file:
    file.readline()
    return json.loads(file.readline())['seeds']
  return []


def _header(content: bytes) -> tuple[dict[str, Any], memoryview]:
  """What the second line says, and the arrays' bytes; checksum verified."""
  first, _, rest = content.partition(b'\n')
  if first != b' '.join([_MAGIC, hashlib.sha256(rest).hexdigest().encode()]):
    raise ValueError('it does not have its checksum')
  line, _, _ = rest.partition(b'\n')
  return json.loads(line), memoryview(rest)[len(line) + 1 :]


def _fits(found: list[Any], wanted: list[Any]) -> bool:
  """Whether an array is the one wanted, whatever its number of seeds."""
  same = found[:2] == wanted[:2] and len(found[2]) == len(wanted[2])
  return same and all(
    b in (a, -1) for a, b in zip(found[2][1:], wanted[2][1:], strict=True)
  )
