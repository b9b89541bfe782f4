"""Checkpoints of seeds in training, so that a killed run can resume.

A file lies in the folder of its setting, which identifies the program:

    _checkpoint-<digest of its seeds>.bin

    one line: format name | SHA-256 of the rest
    one line: JSON with seeds, step, and path, dtype and shape of every array
    the arrays' bytes, one after the other

Arrays keep their dtype (bfloat16, too). Files are written atomically and
removed once all their seeds are stored. A corrupt file, or one of another
program, is renamed aside with a warning, and its seeds are trained again.
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
from initlab.engine.identity import Folder

_MAGIC = b'initlab checkpoint 1'
_PATTERN = '_checkpoint-*.bin'


class Checkpoint(NamedTuple):
  """Seeds in training.

  seeds: `[n]` uint32.
  step: the number of steps taken.
  tree: a pytree of arrays `[n, ...]`.
  """

  seeds: np.ndarray
  step: int
  tree: Any


def write(folder: Folder, checkpoint: Checkpoint) -> None:
  """Replaces the checkpoint of the same seeds, if there is one.

  Raises:
    UserError: the file cannot be written; an older checkpoint is unchanged.
  """
  digest = hashlib.sha256(checkpoint.seeds.tobytes()).hexdigest()[:12]
  path = folder.path / f'_checkpoint-{digest}.bin'
  files.write_bytes(path, encode(checkpoint))


def read(folder: Folder, template: Any) -> Iterator[Checkpoint]:
  """All checkpoints of a setting, the most advanced first.

  Args:
    folder: from `store.open_setting`.
    template: the expected pytree, of leaves with a dtype and a shape. The first
      axis (seeds) may have any length, and so may a second axis given as -1.

  Yields:
    Checkpoints. Corrupt files are renamed aside with a warning.
  """
  decoded = lambda path: decode(path.read_bytes(), template)
  found = [files.intact(path, decoded) for path in _paths(folder)]
  whole = [checkpoint for checkpoint in found if checkpoint is not None]
  yield from sorted(whole, key=lambda checkpoint: -checkpoint.step)


def clean(folder: Folder) -> None:
  """Removes the checkpoints whose seeds are all stored."""
  for path in _paths(folder):
    seeds = _stored_seeds(path)
    if seeds and not store.missing(folder, seeds).size:
      files.remove(path)


def encode(checkpoint: Checkpoint) -> bytes:
  """Serializes a checkpoint."""
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
  """Parses the content of a checkpoint file.

  Raises:
    ValueError: the content is truncated, altered, or does not match `template`.
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
    raise ValueError('it belongs to another program')
  tree = jax.tree.unflatten(jax.tree.structure(template), leaves)
  return Checkpoint(np.array(header['seeds'], np.uint32), header['step'], tree)


def _paths(folder: Folder) -> list[pathlib.Path]:
  return sorted(folder.path.glob(_PATTERN))


def _stored_seeds(path: pathlib.Path) -> list[int]:
  """Seeds of a checkpoint, from its header only; empty if it is corrupt."""
  broken = contextlib.suppress(OSError, ValueError, LookupError, TypeError)
  with broken, open(path, 'rb') as file:
    file.readline()
    return json.loads(file.readline())['seeds']
  return []


def _header(content: bytes) -> tuple[dict[str, Any], memoryview]:
  """The parsed second line and the arrays' bytes; verifies the checksum."""
  first, _, rest = content.partition(b'\n')
  if first != b' '.join([_MAGIC, hashlib.sha256(rest).hexdigest().encode()]):
    raise ValueError('its checksum does not match')
  line, _, _ = rest.partition(b'\n')
  return json.loads(line), memoryview(rest)[len(line) + 1 :]


def _fits(found: list[Any], wanted: list[Any]) -> bool:
  """Whether path, dtype and shape match, for any number of seeds."""
  same = found[:2] == wanted[:2] and len(found[2]) == len(wanted[2])
  return same and all(
    b in (a, -1) for a, b in zip(found[2][1:], wanted[2][1:], strict=True)
  )
