"""The vocabulary: every type that crosses a module boundary.

Letters, used in every shape of this package: `B` batch, `L` layers (of weights,
the output layer included), `n_l` width of layer l, `S` seeds, `T` recorded
steps. Layers are counted from 1; `n_0` is the width of the input.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import dataclasses
import difflib
import itertools
import types
from typing import Annotated, Any, NamedTuple, Protocol, get_type_hints

import jax
import numpy as np

Array = jax.Array
ArrayLike = jax.Array | np.ndarray
Key = jax.Array
Shape = Sequence[int]
Axes = int | tuple[int, ...]

# The elementwise nonlinearity of a network, and its inputs' common name `pre`.
Activation = Callable[[Array], Array]

# The cost of one example: `(logits [K], label []) -> []`.
ExampleLoss = Callable[[Array, Array], Array]


class UserError(ValueError):
  """A mistake of the person at the keyboard, told in one clear sentence.

  Library functions raise it for bad arguments; `launch` prints its message as
  the only line and exits with status 1.
  """


def lookup(table: Mapping[str, Any], what: str, name: str) -> Any:
  """The entry of that name.

  Args:
    table: one of the package's tables.
    what: its entries are called, for the message: 'activation'.
    name: the key wanted.

  Raises:
    UserError: there is none; the message says what is near and what there is.

  Examples:
    >>> lookup({'tanh': 1, 'relu': 2}, 'activation', 'tahn')
    Traceback (most recent call last):
    initlab.base.UserError: unknown activation 'tahn', did you mean 'tanh'? One
    of: tanh, relu
  """
  if name in table:
    return table[name]
  near = difflib.get_close_matches(name, table, n=1)
  hint = f', did you mean {near[0]!r}?' if near else '.'
  raise UserError(f'unknown {what} {name!r}{hint} One of: {", ".join(table)}')


class Initializer(Protocol):
  """Draws one array: JAX's own protocol, so Flax, Haiku and Equinox take it."""

  def __call__(self, key: Key, shape: Shape, dtype: Any = ..., /) -> Array: ...


class Layer(NamedTuple):
  """One dense layer, applied as `x @ w + b`.

  w: `[n_in, n_out]` weights.
  b: `[n_out]` biases.
  """

  w: Array
  b: Array


Params = tuple[Layer, ...]


class Trace(NamedTuple):
  """Everything a forward pass computes, one entry a layer.

  pre: `L` arrays `[B, n_l]`, the nonlinearity's inputs (`s` in the papers).
  post: `L` arrays `[B, n_l]`, its outputs (`z`); the last layer is linear, so
    its `post` is its `pre`: the logits.
  """

  pre: tuple[Array, ...]
  post: tuple[Array, ...]


class Signals(NamedTuple):
  """What goes up and what comes down a network, for one batch.

  x: `[B, n_0]` the inputs, z_0.
  pre, post: as in Trace.
  gradient: `L` arrays `[B, n_l]`, dC/ds_l of each example's own cost.
  loss: `[B]`, each example's cost.
  """

  x: Array
  pre: tuple[Array, ...]
  post: tuple[Array, ...]
  gradient: tuple[Array, ...]
  loss: Array


# A pure measurement of a network: `[L]`, one number a layer, or `[]`.
Probe = Callable[[Params, Activation, Signals], Array]


class Batch(NamedTuple):
  """Examples.

  x: `[B, n_0]` float32 inputs.
  y: `[B]` int32 class labels.
  """

  x: Array
  y: Array


class Law(NamedTuple):
  """The distribution that a scheme declares for the weights of one layer.

  family: 'uniform', 'normal', 'truncated_normal' (cut at two standard
    deviations of the parent normal), 'orthogonal', 'sparse' or 'fixed'. Entries
    of the first three are independent and identically distributed; a 'fixed'
    array does not depend on the key.
  variance: mean square of an entry, E[w^2]; the mean itself is zero in every
    family but 'fixed'.
  """

  family: str
  variance: float


class Scheme(NamedTuple):
  """A named initializer with what it declares about itself.

  make: factory `(**knobs) -> Initializer`; knobs it does not have are refused.
  law: `(n_in, n_out, **knobs) -> Law` of a dense `[n_in, n_out]` kernel.
  knobs: names of the knobs that both of the above take.
  bias: None for zero biases; otherwise a factory `() -> (key, (n_in, n_out),
    dtype) -> [n_out]` for schemes that reproduce a framework's whole layer.
  bias_variance: `(n_in, n_out) -> float`, the variance of those biases.
  source: paper and equation, or framework and version.
  """

  make: Callable[..., Initializer]
  law: Callable[..., Law]
  knobs: tuple[str, ...]
  source: str
  bias: Callable[[], Initializer] | None = None
  bias_variance: Callable[[int, int], float] = lambda n_in, n_out: 0.0


class Dataset(NamedTuple):
  """Something that can be trained on.

  input_size: `n_0`.
  num_classes: the number of labels.
  split: `(name, size, data_dir) -> Batch`, the first `size` examples (all of
    them for None; refused for generated sets) of the fixed split 'train',
    'valid' or 'test'. A split is a fact, like a file: no seed enters it.
  draw: `(key, size) -> Batch` of fresh examples, traceable by `jit` and
    `vmap`; None for sets of a finite size.
  doc: one line for `--help`: what it is, its inputs' range, its source.
  """

  input_size: int
  num_classes: int
  split: Callable[[str, int | None, str], Batch]
  draw: Callable[[Key, int], Batch] | None
  doc: str


# What the fields of an experiment's Result hold, for one seed. The names of the
# axes tell `store` which rows of the tidy table a value belongs to.
PerNetwork = Annotated[Array, ()]  # []
PerNetworkSample = Annotated[Array, ('value',)]  # [V]
PerLayer = Annotated[Array, ('layer',)]  # [L]
PerStep = Annotated[Array, ('step',)]  # [T]
PerStepLayer = Annotated[Array, ('step', 'layer')]  # [T, L]
PerLayerSample = Annotated[Array, ('layer', 'value')]  # [L, V]


# Beside its axes, as in `Annotated[PerLayer, GEOMETRIC]`: a field is positive
# and ranges over decades, as standard deviations, norms and their ratios do, so
# its mean over seeds is the geometric one.
GEOMETRIC = 'geometric'


def knob(default: Any, help: str, choices: Iterable[str] = ()) -> Any:
  """A field of a Config, written once: flag, sweep and table follow it."""
  return dataclasses.field(
    default=default, metadata={'help': help, 'choices': tuple(choices)}
  )


def written(value: Any) -> str:
  """A knob's value as its flag takes it.

  Examples:
    >>> written('tanh'), written((784, 256, 256, 10))
    ('tanh', '784-256x2-10')
  """
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


def axes(result_type: type) -> dict[str, tuple[str, ...]]:
  """Field of a Result -> the names of its axes.

  Examples:
    >>> class Result(NamedTuple):
    ...   error: PerStep
    >>> axes(Result)
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
    return f'{self.field}_{self.kind}' + '_tuned' * bool(self.tuned)


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
  start: Callable[[Any, dict[str, Array], Key, Any], Any]
  advance: Callable[..., Any]
  record: Callable[[Any, Any, Any], Any]


class Experiment(NamedTuple):
  """All that `launch` needs to turn one page of code into a program.

  name: of the module, `python -m experiments.<name>`.
  doc: the module's docstring.
  config: a frozen dataclass, one `knob` a field.
  smoke: a Config so small that the tests run the whole program with it.
  result: a NamedTuple class, its fields annotated PerLayer and so on.
  load: `(config, data_dir) -> data`, any pytree; raises UserError.
  run: `(config, key, data) -> result`, pure, for one seed.
  parameters: `config -> int`, how many numbers one network has.
  panels: what to draw.
  predict: `(config, data) -> {field: value}`, what theory says of a field, in
    the shape of the field, NaN where it says nothing.
  verdict: `outcome -> lines`, the answer in words and numbers.
  training: what `run` consists of, where it trains.
  compared: PerNetwork fields, lower the better, whose settings are compared by
    tests paired by seed.
  tuned: a knob and a PerNetwork field of validation examples, the lower the
    better: settings that differ in that knob alone are also compared at the
    value that is best by that field, see `initlab.tuning`.
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
  doc: str
  config: type
  smoke: Any
  result: type
  load: Callable[[Any, str], Any]
  run: Callable[[Any, Key, Any], Any]
  parameters: Callable[[Any], int]
  panels: tuple[Panel, ...]
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


# What a claim that holds, one that does not and an open one are called.
MARKS = ('pass', 'fail', 'not tested')


class Chapter(NamedTuple):
  """One experiment of a collection, as it runs there.

  experiment: its module, `experiments.<experiment>`.
  title: of the chapter; unique in its collection.
  flags: beside the experiment's own defaults.
  full: more of them, at the full size of a collection that has one.
  text: what the source shows, for the reader to compare.
  panels: names of the pictures to show, in order, and further pictures; all of
    the experiment's if empty.
  claims: what is checked; the experiment's own if None.
  """

  experiment: str
  title: str
  flags: tuple[str, ...] = ()
  full: tuple[str, ...] = ()
  text: str = ''
  panels: tuple[str | Panel, ...] = ()
  claims: tuple[Claim, ...] | None = None


class Collection(NamedTuple):
  """Experiments that make one page together.

  name: of the module, `python -m experiments.<name>`.
  doc: the module's docstring.
  chapters: in the order of the page.
  full: help of the switch --full, with which chapters run at their full size;
    empty where they have one size.
  marks: what its claims are called in place of MARKS.
  tables: `{title of a chapter: outcomes} -> [tables.Table]`, of all chapters
    together; those that could not be run are absent.
  """

  name: str
  doc: str
  chapters: tuple[Chapter, ...]
  full: str = ''
  marks: tuple[str, str, str] = MARKS
  tables: Callable[[Mapping[str, Sequence[Outcome]]], list[Any]] = lambda of: []
