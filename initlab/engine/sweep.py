"""Any pure function of a key over many seeds, by the engine of the lab.

    found = sweep(run, seeds=range(64), out='results/mine')
    found.results                       # the pytree of `run`, arrays [S, ...]
    found.to_frame()                    # tidy: seed, leaf, axes, value

`run(key)` is all that the caller writes: it knows nothing of seeds, devices or
files. With a folder every finished seed is kept there, under the digest of the
program that `run` compiles to, arrays that it closes over included: the same
call computes only what is missing, and a changed `run` starts anew.
"""

from collections.abc import Callable, Iterable, Sequence
import contextlib
import dataclasses
import functools
import keyword
import math
import pathlib
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, keys
from initlab.engine import lanes as engine_lanes, parallel, partition, study
from initlab.experiment import (
  Experiment,
  PerNetwork,
  PerNetworkSample,
  config,
  knob,
)

_SILENT = contextlib.nullcontext(lambda label, count: None)


@config
class Config:
  """The setting of a sweep: a function, by its name."""

  name: str = knob('run', 'what the function is called')
  entries: int = knob(1, 'how many numbers it returns')

  def draw(self, key: base.Key) -> base.Array:
    """As many numbers as the function returns, by which lanes are chosen."""
    del key
    return jnp.zeros(self.entries)


@dataclasses.dataclass(frozen=True)
class Sweep:
  """What a function returned for each seed.

  name: of the function.
  root_seed: the seed of the study.
  seeds: `[S]` ascending.
  results: the pytree that it returns, NumPy arrays `[S, ...]`.
  """

  name: str
  root_seed: int
  seeds: np.ndarray
  results: Any

  @property
  def leaves(self) -> dict[str, np.ndarray]:
    """Path -> leaf of the results; of an array alone, the path is 'result'."""
    return dict(_named(self.results))

  def to_frame(self) -> Any:
    """A tidy `pandas.DataFrame`, one row a seed and entry.

    Returns:
      Columns `name` of the function, `seed`, `leaf` of the pytree, `axis_0` and
      so on, the place in that leaf, null where it has fewer axes, and `value`,
      of a type that holds all of them.
    """
    import pandas as pd

    rank = max(leaf.ndim - 1 for leaf in self.leaves.values())
    kinds = [leaf.dtype for leaf in self.leaves.values()]
    kind = functools.reduce(np.promote_types, kinds)
    tables = []
    for name, leaf in self.leaves.items():
      place, *axes = (index.ravel() for index in np.indices(leaf.shape))
      table = {'name': self.name, 'seed': self.seeds[place], 'leaf': name}
      for axis in range(rank):
        given = axis < len(axes)
        index = axes[axis] if given else [pd.NA] * len(place)
        table[f'axis_{axis}'] = pd.array(index, dtype='Int64')
      tables.append(pd.DataFrame(table | {'value': leaf.ravel().astype(kind)}))
    return pd.concat(tables, ignore_index=True)


class _Field(NamedTuple):
  """A leaf of the pytree, as a column of the rows on disk.

  name: of the column.
  shape, dtype: of the leaf, for one seed.
  """

  name: str
  shape: tuple[int, ...]
  dtype: Any


def sweep(
  run: Callable[[base.Key], Any],
  *,
  seeds: int | Iterable[int],
  out: str | pathlib.Path | None = None,
  name: str = '',
  root_seed: int = 0,
  lanes: int = 0,
  devices: int = 0,
  worker: tuple[int, int] | None = None,
  matmul_precision: str = 'highest',
  bar: Callable[[int], Any] = lambda total: _SILENT,
) -> Sweep:
  """Runs a function once a seed, many seeds at once.

  Args:
    run: `key -> pytree of arrays`, pure, of real numbers. Its key is that of
      the seed, `keys.at(keys.root(root_seed), seed)`.
    seeds: how many, or which, see `keys.seeds`.
    out: the folder of results, `pd.read_parquet(out)` reads its rows; None
      stores nothing. Runs of different names may share one.
    name: of the run, what its results are filed under; by default what Python
      calls the function. Another program of the same name replaces it: the
      results of the earlier one are put aside.
    root_seed: the seed of the study.
    lanes: seeds that a device advances at once, the width of a `vmap`; 1 vmaps
      nothing, 0 chooses by the number of results and, with a folder, by the
      memory that is there.
    devices: how many to use; 0 for all.
    worker: (index, count), as of an array of jobs that share a folder: only
      this one's seeds are computed and returned. A call without it then reads
      all of them, and computes what is missing.
    matmul_precision: of float32 products.
    bar: as for `study.run`; none by default.

  Returns:
    The results of all seeds, ascending. They are the same bits for a seed,
    whatever other seeds run, on how many devices, in how many workers, and from
    disk, at the same lanes, kind of device and versions.

  Raises:
    UserError: a seed, a name or a result that makes no sense, a worker without
      a folder, or a folder that cannot be used.

  Examples:
    >>> found = sweep(lambda key: jax.random.normal(key, (3,)), seeds=range(4))
    >>> found.results.shape
    (4, 3)
  """
  chosen = _checked(seeds, worker, out)
  name = name or _name(run)
  shapes = jax.eval_shape(run, keys.root(root_seed))
  fields = _fields(shapes)

  def flat(key: base.Key) -> tuple[base.Array, ...]:
    result = run(key)
    return tuple(jnp.ravel(x) if x.ndim else x for x in jax.tree.leaves(result))

  with jax.default_matmul_precision(matmul_precision):
    if out is None:
      with bar(len(chosen)) as progress:
        advance = lambda count: progress(name, count)
        columns = _computed(
          flat, fields, chosen, root_seed, lanes, devices, advance
        )
      found = chosen, columns
    else:
      options = study.Options(
        seeds=chosen,
        root_seed=root_seed,
        lanes=lanes,
        devices=devices,
        matmul_precision=matmul_precision,
        out=pathlib.Path(out).absolute().parent,
        data_dir='',
        command='',
      )
      experiment = _experiment(flat, fields, pathlib.Path(out).absolute().name)
      setting = Config(name, _entries(fields))
      found = _stored(experiment, setting, options, worker, bar)
  chosen, columns = found
  leaves = [
    column.astype(field.dtype).reshape(len(chosen), *field.shape)
    for column, field in zip(columns, fields, strict=True)
  ]
  results = jax.tree.unflatten(jax.tree.structure(shapes), leaves)
  return Sweep(name, root_seed, chosen, results)


def _checked(seeds: Any, worker: Any, out: Any) -> np.ndarray:
  """The seeds, ascending."""
  chosen = keys.seeds(seeds)
  if worker is not None:
    index, count = worker
    if out is None:
      raise base.UserError('a worker shares a folder with others: give out')
    if not 0 <= index < count:
      raise base.UserError(f'worker {index} of {count}: they count from 0')
  return np.sort(chosen).astype(np.uint32)


def _name(run: Callable[..., Any]) -> str:
  """What Python calls a function; 'run' where that is no word."""
  found = getattr(run, '__name__', '')
  return found if found.isidentifier() else 'run'


def _named(tree: Any) -> list[tuple[str, Any]]:
  """Path and leaf, of each leaf; of an array alone, the path is 'result'."""
  found = jax.tree_util.tree_flatten_with_path(tree)[0]
  return [
    (jax.tree_util.keystr(path, simple=True, separator='/') or 'result', leaf)
    for path, leaf in found
  ]


def _fields(shapes: Any) -> list[_Field]:
  """The columns of a result.

  Raises:
    UserError: there is none, one that is not of real numbers, or two whose
      names differ in nothing that a column can show.
  """
  fields = []
  for name, leaf in _named(shapes):
    kinds = (jnp.floating, jnp.integer, jnp.bool_)
    if not any(jnp.issubdtype(leaf.dtype, kind) for kind in kinds):
      raise base.UserError(f'result {name} is of {leaf.dtype}, not of numbers')
    column = re.sub(r'\W', '_', name)
    if not column[0].isalpha() or keyword.iskeyword(column):
      column = f'leaf_{column}'
    fields.append(_Field(column, leaf.shape, leaf.dtype))
  columns = [field.name for field in fields]
  if not columns or len(set(columns)) < len(columns):
    raise base.UserError(
      'a run returns arrays, whose paths are names of columns: '
      f'{", ".join(columns) or "none is there"}'
    )
  return fields


def _entries(fields: Sequence[_Field]) -> int:
  return sum(math.prod(field.shape) for field in fields)


def _computed(
  flat: Callable[[base.Key], Any],
  fields: Sequence[_Field],
  seeds: np.ndarray,
  root_seed: int,
  lanes: int,
  devices: int,
  advance: Callable[[int], Any],
) -> list[np.ndarray]:
  """The columns of the seeds, nothing stored; tells how many more are done."""
  used = engine_lanes.chosen_devices(devices)
  lanes = lanes or engine_lanes.auto_lanes(used[0].platform, _entries(fields))
  engine = parallel.engine(
    lambda config, key, data: flat(key), lanes=lanes, devices=used
  )
  root_key = keys.root(root_seed)
  parts = []
  for done, result in parallel.results(engine, (), root_key, seeds, ()):
    parts.append(result)
    advance(len(done))
  return [np.concatenate(each) for each in zip(*parts, strict=True)]


def _experiment(
  flat: Callable[[base.Key], Any], fields: Sequence[_Field], name: str
) -> Experiment:
  """A run as an experiment with nothing to set."""
  axes = {
    field.name: PerNetworkSample if field.shape else PerNetwork
    for field in fields
  }
  columns = list(axes.items())
  result = NamedTuple('Result', columns)  # pyrefly: ignore
  return Experiment(
    name=name,
    program=('initlab.sweep',),
    doc='',
    config=Config,
    result=result,
    load=lambda config, data_dir: (),
    run=lambda config, key, data: result(*flat(key)),
  )


def _stored(
  experiment: Experiment,
  setting: Config,
  options: study.Options,
  worker: tuple[int, int] | None,
  bar: Callable[[int], Any],
) -> tuple[np.ndarray, list[np.ndarray]]:
  """Seeds and columns: those that are there read, the others computed."""
  if worker is not None:
    (task,) = study.open_tasks(experiment, [setting], options)
    mine = partition.share(
      options.seeds, task.folder.block, partition.Worker(*worker)
    )
    options = options._replace(seeds=mine)
  if not options.seeds.size:
    run = experiment.run
    assert run
    shapes = jax.eval_shape(lambda key: run(setting, key, ()), keys.root(0))
    return options.seeds, [np.zeros((0, *s.shape), np.float32) for s in shapes]
  (outcome,), _ = study.run(experiment, [setting], options, bar)
  return outcome.seeds, list(outcome.measured.values())
