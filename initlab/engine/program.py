"""Digests of the program and of the data, by which results are identified.

A name such as `glorot` does not say what its code does today. The program does:
the StableHLO text that JAX lowers the functions of one seed to, always for a
CPU, without file names, line numbers or local names. It does not depend on the
vmap width or on devices. Code that is not compiled is identified by its source
files.

Lowering takes up to a second per setting, so digests are cached beside the
results, keyed by the source files that they were lowered from.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import pathlib
import re
import sys
import sysconfig
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from initlab import base, keys, training
from initlab.engine import files, parallel
from initlab.engine.identity import canonical, sha256
from initlab.experiment import Experiment, Training, numbers, recorded_steps

_DIGITS = 12  # hexadecimal digits of a digest shown to users

_PACKAGE = pathlib.Path(base.__file__).resolve().parent
# Rooms whose code enters no program.
_APART = tuple(_PACKAGE / room for room in ('report', 'launch'))
_INSTALLED = {'site-packages', 'dist-packages'}  # folders of other packages
# Packages that experiments which are not compiled call.
_LIBRARIES = ('numpy', 'scipy', 'scikit-learn')

# A source file younger than this process may be another than the one that was
# imported. The margin, in seconds, is for what was imported before this line,
# and for the clock of a file server.
_STARTED = time.time()
_MARGIN = 10.0

# Most sets of source files, e.g. of branches, whose digests are cached.
_KEPT = 8


class Name(NamedTuple):
  """Hexadecimal digests.

  program: of the code that computes a setting.
  data: of its inputs: the data, traced numbers, recorded steps.
  """

  program: str
  data: str


class Memory(NamedTuple):
  """Digests of programs that were lowered before.

  path: of the file.
  sources: a digest of all source files that the programs depend on; '' if
    unknown.
  precision: of float32 products.
  programs: digest of setting and data -> of the program.
  """

  path: pathlib.Path
  sources: str
  precision: str
  programs: Mapping[str, str]


# Names.


def names(
  experiment: Experiment,
  settings: Sequence[Any],
  data: Sequence[Any],
  known: Mapping[str, str],
) -> tuple[list[Name], dict[str, str]]:
  """The digests of settings; lowers programs that are not in `known`.

  Args:
    experiment: the program.
    settings: Configs.
    data: of each, as loaded.
    known: as in `Memory`.

  Returns:
    One Name per setting, and the digests known now.

  Raises:
    UserError: code that is not compiled is defined in no file.
  """
  hashed: dict[int, str] = {}
  program = _programs(experiment)
  found: dict[str, str] = {}
  named = []
  for config, each in zip(settings, data, strict=True):
    content = data_digest(each, hashed)
    # A function passed as an object has no name to cache its digest by.
    if any(map(callable, vars(config).values())):
      digest = program(config, each)
    else:
      key = sha256(canonical([vars(config), content]).encode())
      if key not in found:
        found[key] = known.get(key) or program(config, each)
      digest = found[key]
    given = [content, numbers(config), recorded_steps(experiment, config)]
    of_given = sha256(canonical(given).encode())
    named.append(Name(digest[:_DIGITS], of_given[:_DIGITS]))
  return named, found


def data_digest(data: Any, hashed: dict[int, str] | None = None) -> str:
  """SHA-256 of shapes, dtypes and bytes of the leaves, in hexadecimal.

  Args:
    data: a pytree of arrays.
    hashed: cache from the `id` of a live array to its digest; it is updated.
  """
  hashed = {} if hashed is None else hashed
  leaves = jax.tree.leaves(data)
  for leaf in leaves:
    if id(leaf) not in hashed:
      words = jax.random.key_data(leaf) if keys.is_key(leaf) else leaf
      array = np.ascontiguousarray(words)
      digest = hashlib.sha256(f'{array.dtype} {np.shape(leaf)} '.encode())
      digest.update(array.reshape(-1).view(np.uint8).data)
      hashed[id(leaf)] = digest.hexdigest()
  return sha256(canonical([hashed[id(leaf)] for leaf in leaves]).encode())


def _programs(experiment: Experiment) -> Callable[[Any, Any], str]:
  """`(config, data) -> digest` of the program, in hexadecimal."""
  of_texts = lambda texts: sha256(canonical(texts).encode())
  if not experiment.compiled:
    versions = {each: _version(each) for each in _LIBRARIES}
    paths = package_files(_APART) | page_files(experiment)
    source = of_texts([digest(paths), versions])
    return lambda config, data: source

  pieces, run = experiment.training, experiment.run

  # Settings that differ only in traced numbers are lowered once.
  @functools.cache
  def lowered(setting: Any, structure: Any, leaves: tuple[Any, ...]) -> str:
    of_dtype = jax.dtypes.canonicalize_dtype(float)
    number = jax.ShapeDtypeStruct((), of_dtype)
    config = jax.tree.unflatten(setting, [number] * setting.num_leaves)
    data = jax.tree.unflatten(structure, leaves)
    if pieces:
      return of_texts(_training_texts(pieces, config, data))
    assert run
    one = parallel.of_seed(run)
    return of_texts([_text(jax.jit(one).trace(config, *_of_seed(), data))])

  def of_setting(config: Any, data: Any) -> str:
    leaves, structure = jax.tree.flatten(_shapes(data))
    return lowered(jax.tree.structure(config), structure, tuple(leaves))

  return of_setting


def _training_texts(pieces: Training, config: Any, data: Any) -> list[str]:
  """The texts of start, advance, record, and of what joins the records."""
  start, advance, record = parallel.pieces_of_seed(pieces)
  root_key, seed = _of_seed()
  span = np.int32(0), np.int32(1)
  started = jax.jit(start).trace(config, root_key, data, seed)
  state = _shapes(started.out_info)
  advanced = jax.jit(advance).trace(config, root_key, data, *span, seed, state)
  recorded = jax.jit(record).trace(config, data, state)
  records = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), recorded.out_info
  )
  join = lambda records: training.over_steps(records, pieces.result)
  joined = jax.jit(join).trace(records)
  return [_text(each) for each in (started, advanced, recorded, joined)]


def _of_seed() -> tuple[base.Key, np.uint32]:
  return keys.root(0), np.uint32(0)


def _shapes(tree: Any) -> Any:
  return jax.eval_shape(lambda x: x, tree)


def _text(traced: Any) -> str:
  """StableHLO with functions renamed to numbers; JAX uses Python's names."""
  text = traced.lower(lowering_platforms=('cpu',)).as_text()
  functions = re.findall(r'func\.func \w+ @([\w.$-]+)', text)
  numbers = {name: f'@f{place}' for place, name in enumerate(functions)}
  rename = lambda match: numbers.get(match[1], match[0])
  return re.sub(r'@([\w.$-]+)', rename, text.partition('\n')[2])


# Source files.


def package_files(apart: Iterable[pathlib.Path] = ()) -> set[pathlib.Path]:
  """The files of this package, code and templates, except in `apart`."""
  return {
    path
    for pattern in ('*.py', '*.html', '*.css', '*.js')
    for path in _PACKAGE.rglob(pattern)
    if not any(path.is_relative_to(folder) for folder in apart)
  }


def page_files(experiment: Experiment) -> set[pathlib.Path]:
  """The source files in the folder of an experiment.

  Raises:
    UserError: the experiment is defined in no file.
  """
  path = getattr(sys.modules[experiment.config.__module__], '__file__', None)
  if path is None:
    raise base.UserError(
      f'{experiment.name} is defined in no file, so its results cannot be '
      'named by their program: write it into one and import it'
    )
  return set(pathlib.Path(path).resolve().parent.glob('*.py'))


def digest(paths: Iterable[pathlib.Path]) -> str:
  """SHA-256 of the names and contents of files, in hexadecimal.

  Raises:
    UserError: a file cannot be read.
  """
  found = []
  for path in paths:
    with files.user_errors('read', path):
      found.append(('/'.join(path.parts[-2:]), sha256(path.read_bytes())))
  return sha256(canonical(sorted(found)).encode())


# Memory.


def recall(path: pathlib.Path, precision: str) -> Memory:
  """The cached digests for the current source files.

  Empty if one of them may have been edited since it was imported.

  Args:
    path: of the cache file; it need not exist.
    precision: of float32 products, as JAX is configured.

  Raises:
    UserError: the file cannot be read.
  """
  sources = _sources(precision)
  stored = files.intact(path, _stored) or {}
  return Memory(path, sources, precision, stored.get(sources, {}))


def remember(memory: Memory, found: Mapping[str, str]) -> None:
  """Adds new digests to the cache, unless the source files have changed.

  If two processes write at once, the last one wins: the digests of the other
  are lowered again later.

  Raises:
    UserError: the file cannot be written.
  """
  place = memory.sources
  if not place or found.keys() <= memory.programs.keys():
    return
  if _sources(memory.precision) != place:  # More was imported meanwhile.
    return
  stored = files.intact(memory.path, _stored) or {}
  programs = {**stored.pop(place, {}), **found}
  kept = [(place, programs), *stored.items()][:_KEPT]
  files.write_text(memory.path, json.dumps(dict(kept), indent=1) + '\n')


def _stored(path: pathlib.Path) -> dict[str, dict[str, str]]:
  return {
    place: dict(each) for place, each in json.loads(path.read_text()).items()
  }


def _sources(precision: str) -> str:
  """A digest of all source files that programs depend on.

  '' if a file is missing or younger than this process.
  """
  paths = sorted(package_files(_APART) | _imported_files())
  try:
    newest = max(path.stat().st_mtime for path in paths)
    content = digest(paths)
  except (OSError, base.UserError):
    return ''
  if newest > _STARTED - _MARGIN:
    return ''
  parts = [content, list(map(str, paths)), _installed(), precision]
  return sha256(canonical(parts).encode())


def _imported_files() -> set[pathlib.Path]:
  """Imported source files outside installed packages."""
  library = pathlib.Path(sysconfig.get_path('stdlib')).resolve()
  found = set()
  for module in list(sys.modules.values()):
    path = pathlib.Path(getattr(module, '__file__', None) or '')
    if path.suffix != '.py' or _INSTALLED & set(path.parts):
      continue
    path = path.resolve()
    if not any(path.is_relative_to(each) for each in (library, *_APART)):
      found.add(path)
  return found


def _installed() -> list[tuple[str, int]]:
  """Installed packages with their modification times."""
  found: list[tuple[str, int]] = []
  for folder in sys.path:
    with contextlib.suppress(OSError):
      found += (
        (entry.name, entry.stat().st_mtime_ns)
        for entry in os.scandir(folder or '.')
        if entry.name.endswith(('.dist-info', '.egg-info'))
      )
  return sorted(found)


def _version(package: str) -> str:
  with contextlib.suppress(importlib.metadata.PackageNotFoundError):
    return importlib.metadata.version(package)
  return 'none'
