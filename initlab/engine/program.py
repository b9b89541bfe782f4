"""What a result is named by beside its setting: the program, and its data.

A name such as `glorot` says nothing of what it does today. The program says it:
the StableHLO text that JAX lowers the functions of one seed to, for a CPU
whatever the backend, without a word of files, lines or local names. It depends
on no lanes and no devices. What is not compiled is named by its source files.

Lowering takes up to a second a setting, so digests are remembered beside the
results under the source files that they were lowered from.
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
from initlab.experiment import Experiment, Training, recorded_steps

_DIGITS = 12  # hexadecimal, of a digest that people see

_PACKAGE = pathlib.Path(base.__file__).resolve().parent
# The rooms of which no program is made.
_APART = tuple(_PACKAGE / room for room in ('report', 'launch'))
_INSTALLED = {'site-packages', 'dist-packages'}  # folders of other packages
# What a page that is not compiled hands its work to.
_LIBRARIES = ('numpy', 'scipy', 'scikit-learn')

# A source file younger than this process may be another than the one that was
# imported. The margin, in seconds, is for what was imported before this line,
# and for the clock of a file server.
_STARTED = time.time()
_MARGIN = 10.0

# Of so many sets of source files the digests are remembered, as of branches.
_KEPT = 8


class Name(NamedTuple):
  """Hexadecimal digests.

  program: of what computes a setting.
  data: of what that is given: the data, traced numbers, recorded steps.
  """

  program: str
  data: str


class Memory(NamedTuple):
  """Digests of programs that were lowered before.

  path: of the file.
  sources: a digest of all that the programs follow from, but their settings
    and data; '' where it cannot be told.
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
  """Names settings by what computes them; lowers what is not known.

  Args:
    experiment: the program.
    settings: Configs.
    data: of each, as loaded.
    known: as in `Memory`.

  Returns:
    One Name a setting, and what is now known of these settings.

  Raises:
    UserError: what is not compiled comes from no file.
  """
  hashed: dict[int, str] = {}
  program = _programs(experiment)
  found: dict[str, str] = {}
  named = []
  for config, each in zip(settings, data, strict=True):
    content = data_digest(each, hashed)
    key = sha256(canonical([vars(config), content]).encode())
    if key not in found:
      found[key] = known.get(key) or program(config, each)
    numbers = experiment.training and experiment.training.numbers(config)
    given = [content, numbers, recorded_steps(experiment, config)]
    of_given = sha256(canonical(given).encode())
    named.append(Name(found[key][:_DIGITS], of_given[:_DIGITS]))
  return named, found


def data_digest(data: Any, hashed: dict[int, str] | None = None) -> str:
  """SHA-256 of shapes, dtypes and bytes of the leaves, in hexadecimal.

  Args:
    data: a pytree of arrays.
    hashed: `id` of an array -> its digest, of arrays that are alive; what is
      missing is added.
  """
  hashed = {} if hashed is None else hashed
  leaves = jax.tree.leaves(data)
  for leaf in leaves:
    if id(leaf) not in hashed:
      array = np.ascontiguousarray(leaf)
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

  def of_run(config: Any, data: Any) -> str:
    one = parallel.of_seed(functools.partial(experiment.run, config))
    traced = jax.jit(one).trace(*_of_seed(), _shapes(data))
    return of_texts([_text(traced)])

  pieces = experiment.training
  if pieces is None:
    return of_run

  # Settings that differ in traced numbers alone are lowered once.
  texts = functools.cache(
    functools.partial(_training_texts, pieces, experiment.result)
  )

  def of_training(config: Any, data: Any) -> str:
    leaves, structure = jax.tree.flatten(_shapes(data))
    names = tuple(pieces.numbers(config))
    return of_texts(
      texts(pieces.program(config), names, structure, tuple(leaves))
    )

  return of_training


def _training_texts(
  pieces: Training,
  result_type: type,
  program: Any,
  numbers: tuple[str, ...],
  structure: Any,
  leaves: tuple[Any, ...],
) -> list[str]:
  """Of start, advance, record, and of what joins the records."""
  start, advance, record = parallel.pieces_of_seed(pieces, program)
  values = parallel.traced(dict.fromkeys(numbers, 0.0))
  data = jax.tree.unflatten(structure, leaves)
  root_key, seed = _of_seed()
  span = np.int32(0), np.int32(1)
  started = jax.jit(start).trace(root_key, values, data, seed)
  state = _shapes(started.out_info)
  advanced = jax.jit(advance).trace(root_key, values, data, *span, seed, state)
  recorded = jax.jit(record).trace(data, state)
  records = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct((2, *x.shape), x.dtype), recorded.out_info
  )
  join = lambda records: training.over_steps(records, result_type)
  joined = jax.jit(join).trace(records)
  return [_text(each) for each in (started, advanced, recorded, joined)]


def _of_seed() -> tuple[base.Key, np.uint32]:
  return keys.root(0), np.uint32(0)


def _shapes(tree: Any) -> Any:
  return jax.eval_shape(lambda x: x, tree)


def _text(traced: Any) -> str:
  """StableHLO with its functions numbered: they are named by Python's."""
  text = traced.lower(lowering_platforms=('cpu',)).as_text()
  functions = re.findall(r'func\.func \w+ @([\w.$-]+)', text)
  numbers = {name: f'@f{place}' for place, name in enumerate(functions)}
  rename = lambda match: numbers.get(match[1], match[0])
  return re.sub(r'@([\w.$-]+)', rename, text.partition('\n')[2])


# Source files.


def package_files(apart: Iterable[pathlib.Path] = ()) -> set[pathlib.Path]:
  """The files of this package, code and templates, but for some folders'."""
  return {
    path
    for pattern in ('*.py', '*.html', '*.css')
    for path in _PACKAGE.rglob(pattern)
    if not any(path.is_relative_to(folder) for folder in apart)
  }


def page_files(experiment: Experiment) -> set[pathlib.Path]:
  """The code in the folder that an experiment lies in.

  Raises:
    UserError: it comes from no file.
  """
  path = getattr(sys.modules[experiment.config.__module__], '__file__', None)
  if path is None:
    raise base.UserError(
      f'{experiment.name} is defined in no file, so its results cannot be '
      'named by their program: write it into one and import it'
    )
  return set(pathlib.Path(path).resolve().parent.glob('*.py'))


def digest(paths: Iterable[pathlib.Path]) -> str:
  """SHA-256 of the contents of files, by their names, in hexadecimal.

  Raises:
    UserError: a file cannot be read.
  """
  found = []
  for path in paths:
    with files.told('read', path):
      found.append(('/'.join(path.parts[-2:]), sha256(path.read_bytes())))
  return sha256(canonical(sorted(found)).encode())


# Memory.


def recall(path: pathlib.Path, precision: str) -> Memory:
  """What is remembered of the programs of the source files as they are.

  Nothing, where one of them may have been edited since it was imported.

  Args:
    path: of the file; it need not be there.
    precision: of float32 products, as JAX is configured.

  Raises:
    UserError: the disk refuses.
  """
  sources = _sources(precision)
  stored = files.intact(path, _stored) or {}
  return Memory(path, sources, precision, stored.get(sources, {}))


def remember(memory: Memory, found: Mapping[str, str]) -> None:
  """Adds what is new of `names`, unless the source files are not as they were.

  Of two processes that write at one time the last one's file stays: what the
  other has found is then lowered once more.

  Raises:
    UserError: the disk refuses.
  """
  place = memory.sources
  if not place or found.keys() <= memory.programs.keys():
    return
  if _sources(memory.precision) != place:  # Something was imported on the way.
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
  """A digest of all that programs follow from, but their settings and data.

  '' where a file is gone or younger than this process.
  """
  paths = sorted(package_files(_APART) | _imported_files())
  try:
    newest = max(path.stat().st_mtime for path in paths)
    content = digest(paths)
  except (OSError, base.UserError):
    return ''
  if newest > _STARTED - _MARGIN:
    return ''
  told = [content, list(map(str, paths)), _installed(), precision]
  return sha256(canonical(told).encode())


def _imported_files() -> set[pathlib.Path]:
  """Of what this process has imported and nobody has installed."""
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
  """What is installed, with when it was."""
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
