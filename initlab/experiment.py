"""What an experiment is made of.

An experiment is one page of code: a Config of knobs, a Result whose fields say
along which axes they extend, what is measured, what is predicted, what is drawn
and what is claimed. A collection makes one page of several experiments. Nothing
here computes: the engine runs an experiment, the report shows its outcomes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import itertools
from pathlib import Path
import sys
import types
from typing import Annotated, Any, NamedTuple, get_type_hints

import numpy as np

from initlab import base, functions

# What the fields of an experiment's Result hold, for one seed. The names of the
# axes tell `store` which rows of the tidy table a value belongs to.
PerNetwork = Annotated[base.Array, ()]  # []
PerNetworkSample = Annotated[base.Array, ('value',)]  # [V]
PerLayer = Annotated[base.Array, ('layer',)]  # [L]
PerStep = Annotated[base.Array, ('step',)]  # [T]
PerStepLayer = Annotated[base.Array, ('step', 'layer')]  # [T, L]
PerLayerSample = Annotated[base.Array, ('layer', 'value')]  # [L, V]


# Beside its axes, as in `Annotated[PerLayer, GEOMETRIC]`: a field is positive
# and ranges over decades, as standard deviations, norms and their ratios do, so
# its mean over seeds is the geometric one.
GEOMETRIC = 'geometric'


def knob(
  default: Any,
  help: str,
  choices: Iterable[str] = (),
  *,
  read: Callable[[str], Any] | None = None,
) -> Any:
  """A field of a Config, written once: flag, sweep and table follow it.

  Args:
    default: its value where none is given.
    help: what `--help` says of it.
    choices: the words it takes, if these are all or the best known.
    read: `text -> value`, which raises UserError, where it takes more than the
      choices, as the names of functions do.
  """
  return dataclasses.field(
    default=default,
    metadata={'help': help, 'choices': tuple(choices), 'read': read},
  )


def written(value: Any) -> str:
  """A knob's value as its flag takes it.

  Examples:
    >>> written('tanh'), written((784, 256, 256, 10))
    ('tanh', '784-256x2-10')
    >>> written(axes_of)
    'initlab.experiment.axes_of'
  """
  if callable(value):
    return functions.label(value)
  if not isinstance(value, tuple):
    return str(value)
  groups = [(w, len(list(same))) for w, same in itertools.groupby(value)]
  return '-'.join(f'{w}x{n}' if n > 1 else str(w) for w, n in groups)


def in_words(name: str) -> str:
  """A field or a knob, as people read it: 'final error'."""
  return name.replace('_', ' ')


# Fields of the Result of every training, PerNetwork: the step at which a seed
# diverged, NaN for one that did not, and its last finite cost.
DIVERGENCE = ('diverged_step', 'last_cost')


def axes_of(result_type: type) -> dict[str, tuple[str, ...]]:
  """Field of a Result -> the names of its axes.

  Examples:
    >>> class Result(NamedTuple):
    ...   error: PerStep
    >>> axes_of(Result)
    {'error': ('step',)}
  """
  hints = get_type_hints(result_type, include_extras=True)
  return {field: hint.__metadata__[0] for field, hint in hints.items()}


def geometric(result_type: type) -> frozenset[str]:
  """Fields of a Result that are averaged geometrically.

  Examples:
    >>> class Result(NamedTuple):
    ...   error: PerStep
    ...   norm: Annotated[PerStep, GEOMETRIC]
    >>> geometric(Result)
    frozenset({'norm'})
  """
  hints = get_type_hints(result_type, include_extras=True)
  return frozenset(
    field for field, hint in hints.items() if GEOMETRIC in hint.__metadata__
  )


class Outcome(NamedTuple):
  """One setting with what was measured over its seeds and what theory says.

  config: the setting, an instance of the experiment's Config.
  label: what tells it from the other settings of the sweep ('glorot, relu').
  seeds: `[S]` the seeds, ascending.
  measured: field of Result -> `[S, ...]` float array.
  predicted: field -> `[...]` float array; fields without a theory are absent.
  steps: `[T]` the recorded steps of a training, ascending; none without one.
  axes: field -> the names of its axes, the seeds' not counted; where absent,
    what there is of layer and value.
  geometric: the fields whose mean over seeds is the geometric one.
  """

  config: Any
  label: str
  seeds: np.ndarray
  measured: dict[str, np.ndarray]
  predicted: dict[str, np.ndarray]
  steps: tuple[int, ...] = ()
  axes: Mapping[str, tuple[str, ...]] = types.MappingProxyType({})
  geometric: frozenset[str] = frozenset()


class Panel(NamedTuple):
  """One picture of an experiment, as data.

  field: the field of Result to draw.
  title: what the reader sees, a full phrase.
  label: of the measured axis, with the unit.
  kind: 'depth' draws a per-layer measure against depth with an interval over
    seeds and the theory as a line; 'histogram' draws the distribution of a
    PerLayerSample field, one small picture a setting, one curve a layer;
    'curve' draws a PerStep or PerStepLayer measure against the recorded steps,
    the single seeds thin behind, one small picture a layer. The others draw a
    PerNetwork measure: 'sweep' against a knob, one line for each combination of
    the other knobs that vary, with an interval over seeds (of the share, where
    every seed says 0 or 1) and the theory dashed; 'seeds' seed by seed, one row
    a setting, with the median and its interval; 'best' the lowest of k seeds,
    in the median over all choices of them, against k.
    A PerNetworkSample field that is a square, row by row, is drawn by 'image',
    the first seeds side by side, and by 'surface', of the first seed of every
    setting, in three dimensions.
  log: whether the measured axis is logarithmic; of a histogram, the density.
  spread: of a 'curve' of layers, the field that says how far the bars reach to
    both sides of it.
  markers: of a 'curve' of layers, a field that is drawn as markers beside it.
  hidden: of a 'curve' of layers, whether the output layer is left out.
  tuned: a knob and a field, as for an Experiment: of settings that differ in
    that knob alone, the chosen one is drawn.
  excess: of a 'curve', whether the lowest value of all settings, seeds and
    steps is taken off, as of a cost whose minimum nobody knows.
  over: of a 'curve', what its steps are; of a 'sweep', the knob, whose values
    are numbers: on a logarithmic axis where they are positive and span a factor
    of 30; of a 'surface', the knob that says how far both axes reach.
  """

  field: str
  title: str
  label: str
  kind: str = 'depth'
  log: bool = False
  over: str = 'step'
  spread: str = ''
  markers: str = ''
  hidden: bool = False
  tuned: tuple[str, str] | None = None
  excess: bool = False

  @property
  def name(self) -> str:
    """Of its files; no two panels of an experiment share it."""
    name = f'{self.field}_{self.kind}'
    return f'{name}_tuned' if self.tuned else name


class Finding(NamedTuple):
  """What a run found of a claim.

  holds: whether it is so; None where the run cannot tell.
  evidence: the number, with its interval, that decides; or what is missing.
  """

  holds: bool | None
  evidence: str


class Claim(NamedTuple):
  """A statement that a run can refute.

  name: what it is called, 'eq. 14', 'lecture 3'; unique in its experiment.
  text: the statement, one sentence.
  source: who says it, and where.
  check: `outcomes -> finding`; it raises `claims.Untested` where the settings
    of the run are not those that the statement is about.
  """

  name: str
  text: str
  source: str
  check: Callable[[Sequence[Outcome]], Finding]


class Training(NamedTuple):
  """A run in pieces, so that it may be long; every function is of one seed.

  A config here is without its `numbers`, which are handed over traced: settings
  that differ in nothing else share one compiled program.

  program: `config -> config` with its numbers replaced by constants.
  numbers: `config -> {name: float}`, the same names for equal programs.
  steps: `config -> [T]` the recorded steps: ascending, from 0 to the last.
  start: `(config, numbers, key, data) -> state`, a pytree of arrays.
  advance: `(config, numbers, key, data, state, first, last) -> state` after the
    steps first, ..., last - 1; both are traced.
  record: `(config, data, state) -> result` of this moment, without step axes;
    of a field that has none, the last record's value counts.
  """

  program: Callable[[Any], Any]
  numbers: Callable[[Any], dict[str, float]]
  steps: Callable[[Any], tuple[int, ...]]
  start: Callable[[Any, dict[str, base.Array], base.Key, Any], Any]
  advance: Callable[..., Any]
  record: Callable[[Any, Any, Any], Any]


class Experiment(NamedTuple):
  """All that `launch` needs to turn one page of code into a program.

  name: the last part of its module's name.
  program: what starts it, behind `python`: `('-m', 'experiments.variance')`, or
    the path of a file.
  doc: the module's docstring.
  config: a frozen dataclass, one `knob` a field.
  result: a NamedTuple class, its fields annotated PerLayer and so on.
  load: `(config, data_dir) -> data`, any pytree; raises UserError.
  run: `(config, key, data) -> result`, pure, for one seed.
  parameters: `config -> int`, how many numbers one network has.
  smoke: a Config so small that the lab's tests run the whole program with it.
  panels: what to draw.
  predict: `(config, data) -> {field: value}`, what theory says of a field, in
    the shape of the field, NaN where it says nothing.
  verdict: `outcome -> lines`, the answer in words and numbers.
  training: what `run` consists of, where it trains.
  compared: PerNetwork fields, lower the better, whose settings are compared by
    tests paired by seed.
  tuned: a knob and a PerNetwork field of validation examples, the lower the
    better: settings that differ in that knob alone are also compared at the
    value that is best by that field, see `report.tuning`.
  claims: what sources say of the settings that run by default.
  defaults: flag -> what it is where it is not given, in place of the knob's or
    the launcher's own default: a sweep, a number of seeds.
  steps: `config -> [T]`, the coordinates of the step axis where nothing is
    trained.
  dtype: 'float32' or 'float64', of everything that is computed. Results are
    stored in float32 all the same.
  compiled: whether `run` is JAX code, to be compiled; if not, it is called for
    one seed after the other, as what hands the work to SciPy or scikit-learn.
  """

  name: str
  program: tuple[str, ...]
  doc: str
  config: type
  result: type
  load: Callable[[Any, str], Any]
  run: Callable[[Any, base.Key, Any], Any]
  parameters: Callable[[Any], int]
  smoke: Any = None
  panels: tuple[Panel, ...] = ()
  predict: Callable[[Any, Any], dict[str, Any]] = lambda config, data: {}
  verdict: Callable[[Outcome], list[str]] = lambda outcome: []
  training: Training | None = None
  compared: tuple[str, ...] = ()
  tuned: tuple[str, str] | None = None
  claims: tuple[Claim, ...] = ()
  defaults: Mapping[str, str] = types.MappingProxyType({})
  steps: Callable[[Any], tuple[int, ...]] = lambda config: ()
  dtype: str = 'float32'
  compiled: bool = True


def recorded_steps(experiment: Experiment, config: Any) -> tuple[int, ...]:
  """The coordinates of the step axis of a setting."""
  return (experiment.training or experiment).steps(config)


# What a page may define -> the field of its Experiment.
_OF_A_PAGE = {
  'Config': 'config',
  'SMOKE': 'smoke',
  'Result': 'result',
  'load': 'load',
  'run': 'run',
  'predict': 'predict',
  'verdict': 'verdict',
  'steps': 'steps',
  'PANELS': 'panels',
  'TRAINING': 'training',
  'CLAIMS': 'claims',
}


def of_module(name: str, **fields: Any) -> Experiment:
  """The experiment that a module describes under the names of a page.

  Args:
    name: `__name__` of the module, which defines `Config`, `Result`, `load` and
      `run`, and may define `PANELS`, `predict`, `verdict`, `steps`, `TRAINING`,
      `CLAIMS` and `SMOKE`.
    **fields: of `Experiment`, in addition or instead.
  """
  module = sys.modules[name]
  found = {
    field: getattr(module, word)
    for word, field in _OF_A_PAGE.items()
    if hasattr(module, word)
  }
  program = program_of(name)
  last = program[-1]
  found |= {
    'name': last.rpartition('.')[2] if len(program) > 1 else Path(last).stem,
    'program': program,
    'doc': module.__doc__ or '',
  }
  return Experiment(**(found | fields))


def program_of(name: str) -> tuple[str, ...]:
  """What starts a module, behind `python`.

  Args:
    name: `__name__` of the module, '__main__' included.

  Returns:
    `('-m', module)` of what can be imported by its name, or the path of a file
    that was started as such.
  """
  module = sys.modules[name]
  spec = module.__spec__
  if spec is None:
    return (str(module.__file__),)
  return ('-m', spec.name.removesuffix('.__main__'))


# What a claim that holds, one that does not and an open one are called.
MARKS = ('pass', 'fail', 'not tested')


class Chapter(NamedTuple):
  """One experiment of a collection, as it runs there.

  experiment: what is run.
  title: of the chapter; unique in its collection.
  flags: beside the experiment's own defaults.
  full: more of them, at the full size of a collection that has one.
  text: what the source shows, for the reader to compare.
  panels: names of the pictures to show, in order, and further pictures; all of
    the experiment's if empty.
  claims: what is checked; the experiment's own if None.
  """

  experiment: Experiment
  title: str
  flags: tuple[str, ...] = ()
  full: tuple[str, ...] = ()
  text: str = ''
  panels: tuple[str | Panel, ...] = ()
  claims: tuple[Claim, ...] | None = None


class Collection(NamedTuple):
  """Experiments that make one page together.

  name: of its page.
  program: as of an Experiment.
  doc: the module's docstring.
  chapters: in the order of the page.
  full: help of the switch --full, with which chapters run at their full size;
    empty where they have one size.
  marks: what its claims are called in place of MARKS.
  tables: `{title of a chapter: outcomes} -> [tables.Table]`, of all chapters
    together; those that could not be run are absent.
  """

  name: str
  program: tuple[str, ...]
  doc: str
  chapters: tuple[Chapter, ...]
  full: str = ''
  marks: tuple[str, str, str] = MARKS
  tables: Callable[[Mapping[str, Sequence[Outcome]]], list[Any]] = lambda of: []
