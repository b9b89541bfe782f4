"""The parts of an experiment.

An experiment is one page of code: a Config of knobs, a Result whose fields are
annotated with their axes, the measurement, the predictions, the panels and the
claims. A collection joins several experiments on one page. Nothing here
computes: the engine runs an experiment, the report shows its outcomes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
import contextlib
import dataclasses
import functools
import itertools
import math
from numbers import Integral, Real
from pathlib import Path
import sys
import types
import typing
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import jax
import numpy as np

from initlab import base, functions
from initlab.panels import Panel

T = TypeVar('T')

_AXES = ('step', 'layer', 'value')

# Annotations of the fields of a Result, for one seed. The names of the axes
# determine the rows of a value in the tidy table, see `store`.
PerNetwork = Annotated[base.Array, ()]  # []
PerNetworkSample = Annotated[base.Array, ('value',)]  # [V]
PerLayer = Annotated[base.Array, ('layer',)]  # [L]
PerStep = Annotated[base.Array, ('step',)]  # [T]
PerStepLayer = Annotated[base.Array, ('step', 'layer')]  # [T, L]
PerLayerSample = Annotated[base.Array, ('layer', 'value')]  # [L, V]


# In addition to the axes, as in `Annotated[PerLayer, GEOMETRIC]`: the field is
# positive and spans decades, like standard deviations, norms and their ratios,
# so its mean over seeds is the geometric one.
GEOMETRIC = 'geometric'

# Likewise: the field is 0 or 1 for a seed, no or yes, so its mean is the share
# of the seeds, whose interval is that of Clopper and Pearson.
SHARE = 'share'

# Likewise: some settings do not have the field, and fill it with NaN. A report
# leaves out what no setting has, see `present`.
OPTIONAL = 'optional'


def knob(
  default: Any,
  help: str,
  choices: Iterable[str] = (),
  *,
  least: float | None = None,
  most: float | None = None,
  above: float | None = None,
  traced: bool = False,
  read: Callable[[Any], Any] | None = None,
) -> Any:
  """A field of a Config; flag, sweep and table follow from it.

  Args:
    default: the value if none is given.
    help: its text in `--help`.
    choices: the allowed words, or the most common ones if `read` is given.
    least: the smallest allowed number; for a tuple, of each entry.
    most: the largest.
    above: an exclusive lower bound.
    traced: whether a number enters the compiled program as an argument, so that
      settings which differ only in it share one program.
    read: `value -> value`, parses a text or a value and raises UserError, for
      knobs that accept more than the choices, such as names of functions. It is
      idempotent.
  """
  return dataclasses.field(
    default=default,
    metadata={
      'help': help,
      'choices': tuple(choices),
      'least': least,
      'most': most,
      'above': above,
      'traced': traced,
      'read': read,
    },
  )


def count(default: int, help: str, *, least: int = 1) -> Any:
  """A knob of a number of steps or examples, at most what float32 counts to."""
  return knob(default, help, least=least, most=2**24)


@typing.dataclass_transform(frozen_default=True)
def config(cls: type[T]) -> type[T]:
  """Makes a class of knobs a Config: a frozen dataclass that is a pytree.

  The leaves of a Config are the numbers of its traced knobs; everything else is
  static, so JAX compiles one program for all settings that differ only in
  traced numbers. The constructor checks every knob; then the method `check`, if
  defined, refuses contradictory knobs.

  Raises:
    UserError: from the Config's constructor, with the flag, its value and what
      is allowed.

  Examples:
    >>> @config
    ... class Config:
    ...   steps: int = knob(10, 'how many steps are taken', least=1)
    ...   rate: float = knob(0.1, 'the learning rate', above=0, traced=True)
    >>> jax.tree.leaves(Config(rate=0.5))
    [0.5]
    >>> Config(steps=0)
    Traceback (most recent call last):
    initlab.base.UserError: --steps=0: at least 1
  """
  cls.__post_init__ = _check  # pyrefly: ignore[missing-attribute]
  made = dataclasses.dataclass(frozen=True)(cls)
  jax.tree_util.register_pytree_with_keys(
    made,
    lambda self: (
      [(jax.tree_util.GetAttrKey(k), v) for k, v in numbers(self).items()],
      _static(self),
    ),
    functools.partial(_restored, made),
    lambda self: (numbers(self).values(), _static(self)),
  )
  return made


def numbers(config: Any) -> dict[str, Any]:
  """The traced knobs of a Config whose value is a number, not a word."""
  return {
    field.name: getattr(config, field.name)
    for field in dataclasses.fields(config)
    if field.metadata['traced']
    and not isinstance(getattr(config, field.name), str)
  }


def _static(config: Any) -> tuple[tuple[str, ...], tuple[tuple[str, Any], ...]]:
  """Names of the traced numbers, and names and values of all other fields."""
  traced = tuple(numbers(config))
  rest = [(k, v) for k, v in vars(config).items() if k not in traced]
  return traced, tuple(rest)


def _restored(cls: type[T], static: Any, leaves: Iterable[Any]) -> T:
  """A Config with any leaves, without checks."""
  traced, rest = static
  self = object.__new__(cls)
  for name, value in (*zip(traced, leaves, strict=True), *rest):
    object.__setattr__(self, name, value)
  return self


def _check(self: Any) -> None:
  hints = _hints(type(self))
  for field in dataclasses.fields(self):
    value = _checked(field, hints[field.name], getattr(self, field.name))
    object.__setattr__(self, field.name, value)
  if hasattr(self, 'check'):
    self.check()


_hints = functools.cache(get_type_hints)

# Hint of a knob without `read` -> what it takes, in words.
KINDS: dict[Any, str] = {
  bool: 'true or false',
  int: 'an integer',
  float: 'a finite number',
  str: 'a word',
  tuple[int, ...]: 'a tuple of integers',
}
_CLASSES: dict[Any, type] = {bool: bool, int: Integral, float: Real, str: str}


def _python(value: Any) -> Any:
  """A Python number for one of NumPy, in a tuple, too."""
  if isinstance(value, tuple):
    return tuple(map(_python, value))
  return value.item() if isinstance(value, np.generic) else value


def _fits(hint: Any, value: Any) -> bool:
  """Whether a value is of the type of a knob; an int is a float, no bool is."""
  if typing.get_origin(hint) is tuple:
    kind = typing.get_args(hint)[0]
    return isinstance(value, tuple) and all(_fits(kind, x) for x in value)
  known = isinstance(value, _CLASSES[hint])
  return known and isinstance(value, bool) == (hint is bool)


def _checked(field: dataclasses.Field, hint: Any, value: Any) -> Any:
  """The parsed value of a knob, of its type and within its bounds."""
  read, choices, traced = (
    field.metadata[k] for k in ('read', 'choices', 'traced')
  )
  where = f'--{field.name}={written(value)}'
  try:
    if read:
      value = read(value)
    elif choices:
      base.lookup(dict.fromkeys(choices), field.name, value)
    elif hint in KINDS and not (traced and isinstance(value, jax.Array)):
      value = _python(value)
      if not _fits(hint, value):
        raise base.UserError(f'it takes {KINDS[hint]}')
  except base.UserError as error:
    raise base.UserError(f'{where}: {error}') from None
  if isinstance(value, tuple) and not value:
    raise base.UserError(f'{where}: at least one number')
  least, most, above = (field.metadata[k] for k in ('least', 'most', 'above'))
  for each in value if isinstance(value, tuple) else (value,):
    if not isinstance(each, int | float):
      continue
    if not math.isfinite(each):
      raise base.UserError(f'{where}: it takes a finite number')
    if not (
      (least is None or each >= least)
      and (most is None or each <= most)
      and (above is None or each > above)
    ):
      raise base.UserError(f'{where}: {_bounds(least, most, above)}')
  return value


def _bounds(
  least: float | None, most: float | None, above: float | None
) -> str:
  """
  Examples:
    >>> _bounds(1, 100, None), _bounds(None, 2, 0), _bounds(0, None, None)
    ('from 1 to 100', 'above 0, at most 2', 'at least 0')
  """
  if least is not None and most is not None:
    return f'from {least} to {most}'
  words = {'at least': least, 'above': above, 'at most': most}
  return ', '.join(f'{k} {v}' for k, v in words.items() if v is not None)


def written(value: Any) -> str:
  """A knob's value in the syntax of its flag.

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


@contextlib.contextmanager
def blaming(config: Any, *names: str) -> Iterator[None]:
  """Begins the message of a UserError with the flags that it is about.

  Args:
    config: the setting.
    *names: of its knobs.

  Examples:
    >>> @config
    ... class Config:
    ...   heads: int = knob(3, 'of attention')
    >>> with blaming(Config(), 'heads'):
    ...   raise base.UserError('they share 4 units')
    Traceback (most recent call last):
    initlab.base.UserError: --heads=3: they share 4 units
  """
  try:
    yield
  except base.UserError as error:
    flags = (f'--{name}={written(getattr(config, name))}' for name in names)
    raise base.UserError(f'{" ".join(flags)}: {error}') from None


def varying(
  settings: Sequence[Any], but: Iterable[str] = ()
) -> list[dataclasses.Field]:
  """The knobs in which settings differ.

  Args:
    settings: Configs of one class.
    but: names of knobs that do not count.
  """
  return [
    field
    for field in dataclasses.fields(settings[0])
    if field.name not in but
    and len({getattr(config, field.name) for config in settings}) > 1
  ]


def in_words(name: str) -> str:
  """The name of a field or knob in words: 'final error'."""
  return name.replace('_', ' ')


def mean_in_words(name: str, mean: str = 'mean') -> str:
  """A mean over seeds, of a field that may be a mean itself.

  Examples:
    >>> mean_in_words('final_error'), mean_in_words('mean_loss')
    ('mean final error', 'mean loss')
  """
  return f'{mean} {in_words(name).removeprefix("mean ")}'


def as_title(name: str) -> str:
  """`in_words`, as a title begins: 'Final error'."""
  words = in_words(name)
  return words[:1].upper() + words[1:]


# PerNetwork fields of every training: the step at which a seed diverged, NaN if
# it did not, and its last finite loss.
DIVERGENCE = ('diverged_step', 'last_loss')


def axes_of(result_type: type) -> dict[str, tuple[str, ...]]:
  """Field of a Result -> the names of its axes.

  Raises:
    UserError: a field is not annotated with some of step, layer and value, in
      this order.

  Examples:
    >>> class Result(NamedTuple):
    ...   error: PerStep
    >>> axes_of(Result)
    {'error': ('step',)}
  """
  found = {}
  hints = get_type_hints(result_type, include_extras=True)
  for field, hint in hints.items():
    axes = getattr(hint, '__metadata__', (None,))[0]
    if axes is None or list(axes) != [name for name in _AXES if name in axes]:
      raise base.UserError(
        f'field {field} of the Result must be annotated with axes that are '
        f'some of {", ".join(_AXES)}, in this order, not with {hint}'
      )
    found[field] = axes
  return found


def geometric(result_type: type) -> frozenset[str]:
  """Fields of a Result that are averaged geometrically.

  Examples:
    >>> class Result(NamedTuple):
    ...   error: PerStep
    ...   norm: Annotated[PerStep, GEOMETRIC]
    >>> geometric(Result)
    frozenset({'norm'})
  """
  return _marked(result_type, GEOMETRIC)


def shares(result_type: type) -> frozenset[str]:
  """Fields of a Result that are 0 or 1 for a seed.

  Examples:
    >>> class Result(NamedTuple):
    ...   error: PerStep
    ...   solved: Annotated[PerNetwork, SHARE]
    >>> shares(Result)
    frozenset({'solved'})
  """
  return _marked(result_type, SHARE)


def _marked(result_type: type, mark: str) -> frozenset[str]:
  hints = get_type_hints(result_type, include_extras=True)
  return frozenset(
    field for field, hint in hints.items() if mark in hint.__metadata__
  )


class Outcome(NamedTuple):
  """One setting with the measurements of its seeds and the predictions.

  config: the setting, an instance of the experiment's Config.
  label: distinguishes it from other settings of the sweep ('glorot, relu').
  seeds: `[S]` the seeds, ascending.
  measured: field of Result -> `[S, ...]` float array.
  predicted: field -> `[...]` float array; fields without a theory are absent.
  steps: `[T]` the recorded steps of a training, ascending; otherwise empty.
  axes: field -> the names of its axes, without that of seeds; if absent, layer
    and value as far as there are axes.
  geometric: the fields with a geometric mean over seeds.
  shares: the fields that are 0 or 1 for a seed.
  """

  config: Any
  label: str
  seeds: np.ndarray
  measured: dict[str, np.ndarray]
  predicted: dict[str, np.ndarray]
  steps: tuple[int, ...] = ()
  axes: Mapping[str, tuple[str, ...]] = types.MappingProxyType({})
  geometric: frozenset[str] = frozenset()
  shares: frozenset[str] = frozenset()


class Finding(NamedTuple):
  """The result of checking a claim on a run.

  holds: None if the run cannot decide.
  evidence: the decisive number with its interval, or what is missing.
  """

  holds: bool | None
  evidence: str


class Claim(NamedTuple):
  """A statement that a run can refute.

  name: 'eq. 14', 'lecture 3'; unique in its experiment.
  text: the statement, one sentence.
  source: paper and section, or lecture.
  check: `outcomes -> finding`; it raises `claims.Untested` if the run lacks the
    settings that the statement is about.
  """

  name: str
  text: str
  source: str
  check: Callable[[Sequence[Outcome]], Finding]


class Training(NamedTuple):
  """A long run, split into steps; every function is for one seed.

  result: the annotated Result class.
  steps: `config -> [T]` the recorded steps: ascending, from 0 to the last.
  start: `(config, key, data) -> state`, a pytree of arrays.
  advance: `(config, key, data, state, first, last) -> state` after the steps
    first, ..., last - 1; both are traced.
  record: `(config, data, state) -> result` of the current step, without step
    axes. Of a field without a step axis the last record is stored.
  """

  result: type
  steps: Callable[[Any], tuple[int, ...]]
  start: Callable[[Any, base.Key, Any], Any]
  advance: Callable[..., Any]
  record: Callable[[Any, Any, Any], Any]


class Experiment(NamedTuple):
  """Everything that `launch` needs to run a page of code.

  name: the last part of its module's name.
  program: the arguments of `python` that start it, `('-m',
    'experiments.variance')` or the path of a file.
  doc: the module's docstring.
  config: a class decorated by `config`, with one `knob` per field. Its optional
    method `draw`, `key -> pytree of arrays`, draws the initial parameters; the
    engine chooses the vmap width by their size (1 without it). `convolves`, if
    defined, says whether the model has convolutions, which on a CPU are run for
    one seed at a time.
  result: a NamedTuple class, its fields annotated PerLayer and so on.
  load: `(config, data_dir) -> data`, any pytree; raises UserError. None for an
    experiment that loads nothing.
  run: `(config, key, data) -> result`, pure, for one seed; None for a training.
  smoke: a small Config, with which the tests run the whole program.
  panels: the figures.
  predict: `(config, data) -> {field: value}`, the predictions of theory in the
    shape of each field, NaN where unknown. Names that are no field of Result
    are for verdicts and claims.
  verdict: `outcome -> lines`, the answer in words and numbers; the first lines
    say most.
  answer: `outcome -> {(group, head): estimate or number}`, the row of a setting
    in the table that answers the question; empty where the PerNetwork fields
    of the Result are that row.
  tables: `outcomes -> [tables.Table]`, tables of all settings together; if
    there are any, they answer the question.
  training: replaces `run`.
  compared: PerNetwork fields, lower is better; settings are compared by tests
    paired by seed.
  tuned: a knob and a PerNetwork field of validation examples, lower is better:
    settings that differ only in that knob are also compared at its best value,
    see `report.tuning`.
  claims: about the settings that run by default.
  defaults: flag -> its default here, instead of the knob's or the launcher's: a
    sweep, a number of seeds.
  steps: `config -> [T]`, the coordinates of the step axis without a training.
  dtype: 'float32' or 'float64', of the computation. Results are stored in
    float32.
  compiled: whether `run` is JAX code. If not, it is called seed by seed, as for
    SciPy or scikit-learn.
  """

  name: str
  program: tuple[str, ...]
  doc: str
  config: type
  result: type
  load: Callable[[Any, str], Any] = lambda config, data_dir: None
  run: Callable[[Any, base.Key, Any], Any] | None = None
  smoke: Any = None
  panels: tuple[Panel, ...] = ()
  predict: Callable[[Any, Any], dict[str, Any]] = lambda config, data: {}
  verdict: Callable[[Outcome], list[str]] = lambda outcome: []
  answer: Callable[[Outcome], dict[tuple[str, str], Any]] = lambda outcome: {}
  tables: Callable[[Sequence[Outcome]], list[Any]] = lambda outcomes: []
  training: Training | None = None
  compared: tuple[str, ...] = ()
  tuned: tuple[str, str] | None = None
  claims: tuple[Claim, ...] = ()
  defaults: Mapping[str, str] = types.MappingProxyType({})
  steps: Callable[[Any], tuple[int, ...]] = lambda config: ()
  dtype: str = 'float32'
  compiled: bool = True


def present(
  experiment: Experiment, outcomes: Sequence[Outcome]
) -> tuple[Experiment, list[Outcome]]:
  """Both without the optional fields that no seed of any setting has.

  Args:
    experiment: the program that ran.
    outcomes: its settings.
  """
  absent = {
    field
    for field in _marked(experiment.result, OPTIONAL)
    if not any(np.isfinite(each.measured[field]).any() for each in outcomes)
  }
  kept = lambda fields: {k: x for k, x in fields.items() if k not in absent}
  shown = experiment._replace(
    panels=tuple(
      each for each in experiment.panels if each.field not in absent
    ),
    compared=tuple(each for each in experiment.compared if each not in absent),
  )
  return shown, [
    each._replace(measured=kept(each.measured), axes=kept(each.axes))
    for each in outcomes
  ]


def recorded_steps(experiment: Experiment, config: Any) -> tuple[int, ...]:
  """The coordinates of the step axis of a setting."""
  return (experiment.training or experiment).steps(config)


# Names that a page may define -> the field of its Experiment.
_OF_A_PAGE = {
  'Config': 'config',
  'SMOKE': 'smoke',
  'Result': 'result',
  'load': 'load',
  'run': 'run',
  'predict': 'predict',
  'verdict': 'verdict',
  'answer': 'answer',
  'tables': 'tables',
  'steps': 'steps',
  'PANELS': 'panels',
  'TRAINING': 'training',
}


def of_module(name: str, **fields: Any) -> Experiment:
  """The experiment that a module defines.

  Args:
    name: `__name__` of the module, which defines `Config`, `Result` and either
      `run` or `TRAINING`, and may define `SMOKE`, `load`, `predict`, `verdict`,
      `answer`, `tables`, `steps`, `PANELS`, claims, and `SWEEP`: knob -> its
      default values.
    **fields: further fields of `Experiment`, which take precedence.
  """
  module = sys.modules[name]
  found = {
    field: getattr(module, word)
    for word, field in _OF_A_PAGE.items()
    if hasattr(module, word)
  }
  found['claims'] = tuple(
    each for each in vars(module).values() if isinstance(each, Claim)
  )
  sweep = getattr(module, 'SWEEP', {})
  found['defaults'] = fields.pop('defaults', {}) | {
    name: ','.join(map(written, values)) for name, values in sweep.items()
  }
  if 'training' in found:
    found['result'] = found['training'].result
  program = program_of(name)
  last = program[-1]
  found |= {
    'name': last.rpartition('.')[2] if len(program) > 1 else Path(last).stem,
    'program': program,
    'doc': module.__doc__ or '',
  }
  return Experiment(**(found | fields))


def program_of(name: str) -> tuple[str, ...]:
  """The arguments of `python` that start a module.

  Args:
    name: `__name__` of the module, possibly '__main__'.

  Returns:
    `('-m', module)` if it can be imported, or the path of a script.
  """
  module = sys.modules[name]
  spec = module.__spec__
  if spec is None:
    return (str(module.__file__),)
  return ('-m', spec.name.removesuffix('.__main__'))


# Labels for: holds, fails, untested.
MARKS = ('pass', 'fail', 'not tested')


class Chapter(NamedTuple):
  """One experiment of a collection.

  experiment: of the chapter.
  title: of the chapter; unique in its collection.
  flags: added to the experiment's defaults.
  full: further flags for --full.
  text: the result of the source, for comparison.
  panels: names of panels to show, in order, or further panels; all panels of
    the experiment if empty.
  claims: those to check; the experiment's own if None.
  """

  experiment: Experiment
  title: str
  flags: tuple[str, ...] = ()
  full: tuple[str, ...] = ()
  text: str = ''
  panels: tuple[str | Panel, ...] = ()
  claims: tuple[Claim, ...] | None = None


class Collection(NamedTuple):
  """Experiments on one page.

  name: of its page.
  program: as for an Experiment.
  doc: the module's docstring.
  chapters: in the order of the page.
  full: help text of --full, which runs chapters at full size; '' if there is no
    full size.
  marks: labels of its findings instead of MARKS.
  tables: `{title of a chapter: outcomes} -> [tables.Table]`, over all chapters
    that could be run.
  """

  name: str
  program: tuple[str, ...]
  doc: str
  chapters: tuple[Chapter, ...]
  full: str = ''
  marks: tuple[str, str, str] = MARKS
  tables: Callable[[Mapping[str, Sequence[Outcome]]], list[Any]] = lambda of: []
