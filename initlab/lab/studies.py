"""What a notebook calls of the instruments, and what it gets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import itertools
import pathlib
import tempfile
import typing
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from initlab import base, claims, own_data, published
from initlab.engine import files, study
from initlab.experiment import Experiment, Outcome, present
from initlab.instruments import (
  learning as learnings,
  model_learning,
  variance as variances,
)
from initlab.launch import parsing, progress
from initlab.launch.options import Options
from initlab.report import (
  comparison,
  page,
  publish,
  replay,
  screen,
  summary,
)

if TYPE_CHECKING:
  import pandas as pd
  import pyarrow as pa


class Report:
  """A study: settings, each measured over seeds.

  experiment: the program.
  outcomes: one `experiment.Outcome` a setting: `[S, ...]` arrays and theory.
  """

  def __init__(
    self,
    experiment: Experiment,
    outcomes: Sequence[Outcome],
    rows: 'pa.Table',
    facts: Mapping[str, str],
    flags: str,
  ):
    self.experiment = experiment
    self.outcomes = tuple(outcomes)
    self._rows = rows
    self._facts = facts
    self._flags = flags

  @property
  def verdict(self) -> str:
    """The answer in words and numbers, a paragraph a setting."""
    return '\n'.join(
      f'{outcome.label}: {line}'
      for outcome in self.outcomes
      for line in self.experiment.verdict(outcome)
    )

  @property
  def claims(self) -> dict[str, bool | None]:
    """Claim -> whether it holds, None where the run cannot tell."""
    stated = self.experiment.claims
    found = claims.findings(stated, self.outcomes)
    return {c.name: f.holds for c, f in zip(stated, found, strict=True)}

  def to_frame(self) -> 'pd.DataFrame':
    """The rows: one a seed and place, as `pd.read_parquet` reads them."""
    return self._rows.to_pandas()

  @property
  def figures(self) -> tuple[str, ...]:
    """The names that `figure` takes."""
    return tuple(panel.name for panel in self.experiment.panels)

  def figure(self, name: str) -> Any:
    """Draws one figure, of matplotlib.

    Args:
      name: one of `figures`, or the measure that it is of.

    Raises:
      UserError: there is no such figure, or more than one of the measure.
    """
    from initlab.report.plots import figure, style

    return style.shown(figure.figure(self._panel(name), self.outcomes))

  def _panel(self, name: str) -> Any:
    table = {panel.name: panel for panel in self.experiment.panels}
    of_field = [each for each in table.values() if each.field == name]
    if len(of_field) == 1:
      return of_field[0]
    return base.lookup(table, 'figure', name)

  def compare(
    self, other: 'Report | None' = None, field: str = ''
  ) -> 'pd.DataFrame':
    """Compares settings by tests that are paired by seed.

    Args:
      other: whose settings are each compared with each of these; None compares
        the pairs that the page has: these with each other, or if they are more
        than five, each with the first.
      field: a measure of the whole network, lower the better; the experiment's
        own if it is not given.

    Returns:
      One row a pair of settings: the difference of b minus a with its 95%
      interval, of how many pairs of seeds, of the `total` seeds of the larger
      side, p by the permutation test and Holm's correction of it, and the seeds
      that show half the difference.

    Raises:
      UserError: the root seeds differ, or no seed is shared; or the measure is
        none of a whole network, or not one of both reports, or none is given
        where the experiment compares none.
    """
    import pandas as pd

    mine, its = (each._facts['root seed'] for each in (self, other or self))
    comparison.check_root_seeds('reports', mine, its)
    theirs = self.outcomes if other is None else other.outcomes
    names = [
      name
      for name, axes in self.outcomes[0].axes.items()
      if axes == () and name in theirs[0].axes
    ]
    field = field or next(iter(self.experiment.compared), '')
    base.lookup(dict.fromkeys(names), 'measure of a whole network', field)
    pairs = comparison.pairs(self.outcomes)
    if other is not None:
      pairs = list(itertools.product(self.outcomes, other.outcomes))
    found = comparison.compare_pairs(field, pairs)
    return pd.DataFrame(list(map(comparison.as_dict, found)))

  def save(self, folder: str | pathlib.Path) -> pathlib.Path:
    """Writes the report's page, its figures and its tables into a folder.

    With them the flagfile with which the command line repeats the run, unless
    it was given functions or arrays that no flag can name.

    Returns:
      The path of the page.
    """
    place = pathlib.Path(folder)
    if self._flags:
      files.write_text(place / replay.NAME, self._flags)
    publish.write(self.experiment, self.outcomes, self._facts, place)
    return place / 'report.html'

  def __repr__(self) -> str:
    return screen.text(self.experiment, self.outcomes, self._facts)

  def _repr_html_(self) -> str:
    from initlab.report.plots import figure, style

    panel = self.experiment.panels[0]
    svg = style.svg(figure.figure(panel, self.outcomes))
    return page.render(
      'notebook.html',
      settings=page.settings(self.experiment, self.outcomes),
      tables=summary.contents(self.experiment, self.outcomes)[:1],
      pictures=[page.picture('figure', panel, self.outcomes, svg)],
      figures=self.figures,
    )


def variance(x: Any = None, y: Any = None, **options: Any) -> Report:
  """What initializations do to the signal going up and the gradient down.

  Args:
    x: the inputs: an array `[B, ...]`, of which every example is probed unless
      `examples` is given; or a data set, as the knob `dataset`, by name or a
      function, see `own_data`; a list is a sweep. The knob's default if None.
    y: `[B]` integer labels of an array x; i mod 10 of example i if None.
    **options: as for `run`: seeds, root_seed, lanes, out, data_dir; and the
      knobs of `experiments.variance`: init, activation, widths, depth, gain,
      bias, loss, examples, ...; a list is a sweep. `init` and `activation` take
      functions, too.

  Raises:
    UserError: as `run`, or x and y are not such arrays.
  """
  if x is None and y is not None:
    raise base.UserError('y holds the labels of an array x: give both')
  return run(variances.EXPERIMENT, **options | _inputs(x, y, options))


_CLASSES = 10  # of examples without labels


def _inputs(x: Any, y: Any, options: Mapping[str, Any]) -> dict[str, Any]:
  """The knobs of inputs x with labels y."""
  if x is None:
    return {}
  if 'dataset' in options:
    raise base.UserError('x and dataset are one knob: give one of them')
  given = x if isinstance(x, list) else [x]
  arrays = [not (isinstance(each, str) or callable(each)) for each in given]
  if y is not None and arrays != [True]:
    raise base.UserError('y holds the labels of an array x, of one only')
  sets = [
    own_data.of_arrays({'test': (each, _labels(each) if y is None else y)})
    if array
    else each
    for each, array in zip(given, arrays, strict=True)
  ]
  found = {'dataset': sets if isinstance(x, list) else sets[0]}
  if arrays == [True]:
    found['examples'] = options.get('examples', len(given[0]))
  return found


def _labels(x: Any) -> np.ndarray:
  """Labels of all classes in turn; a network at its start knows none."""
  return np.arange(len(np.atleast_1d(x))) % _CLASSES


def learning(data: Any = None, **options: Any) -> Report:
  """How fast and how well networks learn from initializations.

  Args:
    data: arrays (x, y), inputs `[N, ...]` and integer labels `[N]`, of which a
      fixed sixth tests and another one validates; or a dictionary of them for
      'train', 'valid' and 'test'. The knob `dataset` if None.
    **options: as for `run`: seeds, root_seed, lanes, out, data_dir; and the
      knobs of `experiments.learning`: init, activation, widths, dataset,
      optimizer, learning_rate, batch_size, steps, ...; a list is a sweep. With
      `model`, a name as 'transformer' or a function that returns `(init, model,
      batch)`, those of `instruments.model_learning`.

  Raises:
    UserError: as `run`, or the data are not such arrays.
  """
  if 'model' in options:
    if data is not None:
      raise base.UserError("data are for the lab's MLP: a model has a batch")
    return run(model_learning.EXPERIMENT, **options)
  if data is not None:
    if 'dataset' in options:
      raise base.UserError('data and dataset are one knob: give one of them')
    options = {**options, 'dataset': own_data.of_arrays(data)}
  return run(learnings.EXPERIMENT, **options)


def run(
  experiment: Experiment,
  *,
  seeds: int | Iterable[int] = 32,
  root_seed: int = 0,
  lanes: int = 0,
  out: str | pathlib.Path | None = None,
  data_dir: str | None = None,
  **knobs: Any,
) -> Report:
  """Runs an experiment.

  Args:
    experiment: the program.
    seeds: how many, or which.
    root_seed: the integer that all keys come from.
    lanes: the vmap width; 0 for the lab's own choice.
    out: the folder of results; None keeps nothing.
    data_dir: the folder of downloaded data sets; that of the command line, see
      `published.default_data_dir`, if None.
    **knobs: of the experiment's Config; a list is a sweep.

  Raises:
    UserError: a knob that there is not, or a value that it does not take.
  """
  chosen = settings(experiment, knobs)
  which: Any = seeds
  checked = Options(seeds=which, root_seed=root_seed, lanes=lanes)
  with contextlib.ExitStack() as stack:
    if out is None:
      out = stack.enter_context(tempfile.TemporaryDirectory())
    stack.enter_context(as_on_the_command_line())
    options = study.Options(
      seeds=checked.seeds,
      root_seed=checked.root_seed,
      lanes=checked.lanes,
      devices=0,
      matmul_precision='highest',
      out=pathlib.Path(out),
      data_dir=published.default_data_dir() if data_dir is None else data_dir,
      command=f'initlab.lab.run of {experiment.name}',
    )
    outcomes, tasks = study.run(experiment, chosen, options, progress.bar)
    experiment, outcomes = present(experiment, outcomes)
    facts = publish.facts(tasks, options)
    rows = study.rows(tasks, options.seeds)
    flags = ''
    if replay.nameable(chosen):
      flags = replay.flagfile(experiment, tasks, options)
  return Report(experiment, outcomes, rows, facts, flags)


@contextlib.contextmanager
def as_on_the_command_line() -> Iterator[None]:
  """JAX's settings that decide bits, as `launch.machine` makes them."""
  with (
    jax.default_matmul_precision('highest'),
    jax.threefry_partitionable(True),
    jax.default_prng_impl('threefry2x32'),
  ):
    yield


def settings(experiment: Experiment, knobs: Mapping[str, Any]) -> list[Any]:
  """The product of all lists among knobs, as Configs.

  Args:
    experiment: whose knobs they are.
    knobs: name -> a value, or a list of values. What is not given has the
      experiment's default.

  Raises:
    UserError: a knob that there is not, or a value that it does not take.

  Examples:
    >>> two = settings(variances.EXPERIMENT, {'widths': ['6x2', (5, 4)]})
    >>> [config.widths for config in two]
    [(6, 6), (5, 4)]
  """
  fields = {each.name: each for each in dataclasses.fields(experiment.config)}
  hints = typing.get_type_hints(experiment.config)
  defaults = {
    name: value.split(',')
    for name, value in experiment.defaults.items()
    if name in fields
  }
  lists = {}
  for name, given in {**defaults, **knobs}.items():
    base.lookup(fields, 'knob', name)
    values = given if isinstance(given, list) else [given]
    if not values:
      raise base.UserError(f'{name}=[]: at least one value')
    lists[name] = [
      parsing.knob(fields[name], hints[name], value)
      if isinstance(value, str)
      else value
      for value in values
    ]
  return [
    experiment.config(**dict(zip(lists, point, strict=True)))
    for point in itertools.product(*lists.values())
  ]
