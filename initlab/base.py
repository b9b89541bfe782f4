"""Shared types: everything that crosses a module boundary.

Letters, used in every shape of this package: `B` batch, `L` layers (of weights,
the output layer included), `n_l` width of layer l, `S` seeds, `T` recorded
steps. Layers are counted from 1; `n_0` is the width of the input.
"""

from collections.abc import Callable, Mapping, Sequence
import difflib
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np

Array = jax.Array
ArrayLike = jax.Array | np.ndarray
Key = jax.Array
Shape = Sequence[int]
Axes = int | tuple[int, ...]

# The elementwise nonlinearity of a network, and its inputs' common name `pre`.
Activation = Callable[[Array], Array]

# The loss of one example: `(logits [K], label []) -> []`.
ExampleLoss = Callable[[Array, Array], Array]


class UserError(ValueError):
  """A user's mistake, explained in one clear sentence.

  Library functions raise it for bad arguments; `launch` prints its message as
  the only line and exits with status 1.
  """


def check_whole(value: Any, least: int, what: str) -> None:
  """Refuses what is no whole number of at least so many.

  Args:
    value: to be checked.
    least: the smallest that is allowed.
    what: is counted, for the message: 'blocks'.

  Raises:
    UserError: the value is of another type, or too small.

  Examples:
    >>> check_whole(1.5, 1, 'blocks')
    Traceback (most recent call last):
    initlab.base.UserError: blocks is 1.5: it takes a whole number, at least 1
  """
  if not isinstance(value, int | np.integer) or value < least:
    raise UserError(
      f'{what} is {value!r}: it takes a whole number, at least {least}'
    )


def lookup(table: Mapping[str, Any], what: str, name: str) -> Any:
  """Looks up a name in a table.

  Args:
    table: one of the package's tables.
    what: the kind of its entries, for the message: 'activation'.
    name: the key.

  Raises:
    UserError: the name is unknown; the message suggests and lists valid names.

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
  """Draws one array; JAX's own protocol, which Flax and Equinox accept."""

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
  """The values of a forward pass, one entry per layer.

  pre: `L` arrays `[B, n_l]`, the pre-activations (`s` in the papers).
  post: `L` arrays `[B, n_l]`, the activations (`z`); the last layer is linear,
    so its `post` is its `pre`: the logits.
  """

  pre: tuple[Array, ...]
  post: tuple[Array, ...]


class Signals(NamedTuple):
  """The values of a forward and a backward pass, for one batch.

  x: `[B, n_0]` the inputs, z_0.
  pre, post: as in Trace.
  gradient: `L` arrays `[B, n_l]`, dC/ds_l of each example's own loss C.
  loss: `[B]`, each example's loss.
  """

  x: Array
  pre: tuple[Array, ...]
  post: tuple[Array, ...]
  gradient: tuple[Array, ...]
  loss: Array


# A pure measurement of a network: `[L]`, one number per layer, or `[]`.
Probe = Callable[[Params, Activation, Signals], Array]


class Batch(NamedTuple):
  """Examples.

  x: `[B, n_0]` float32 inputs.
  y: `[B]` int32 class labels.
  """

  x: Array
  y: Array


class Evidence(NamedTuple):
  """The evidence for an estimated law.

  draws: the number of entries drawn.
  low, high: ends of the 95% interval of the variance.
  failed: the test that made the family 'unknown', with its numbers.
  """

  draws: int
  low: float
  high: float
  failed: str = ''


class Law(NamedTuple):
  """The distribution of the weights of one layer, declared or estimated.

  family: 'uniform', 'normal', 'truncated_normal' (cut at two standard
    deviations of the parent normal), 'independent', 'orthogonal', 'sparse',
    'mirrored' ([[V, -V], [-V, V]] of an orthogonal V), 'near_identity' (the
    identity and normal noise), 'fixed' or 'unknown'. Entries of the first four
    are independent and identically distributed, in 'independent' with any
    distribution; a 'fixed' array does not depend on the key. No scheme declares
    'unknown'.
  variance: mean square of an entry, E[w^2]; the mean itself is zero in every
    family but 'near_identity', 'fixed' and 'unknown'.
  evidence: for an estimated law; None for a declared one.
  """

  family: str
  variance: float
  evidence: Evidence | None = None


class Scheme(NamedTuple):
  """A named initializer with its declared law.

  make: factory `(**knobs) -> Initializer`; unknown knobs are refused.
  law: `(n_in, n_out, **knobs) -> Law` of a dense `[n_in, n_out]` kernel.
  knobs: names of the knobs that both of the above take.
  bias: None for zero biases; otherwise a factory `() -> (key, (n_in, n_out),
    dtype) -> [n_out]` for schemes of a whole layer. Knobs that it has are those
    of `make`, and `initializers.resolve` sets both.
  bias_variance: `(n_in, n_out) -> float`, the variance of those biases, with
    the same knobs.
  source: paper and equation, or framework and version.
  """

  make: Callable[..., Initializer]
  law: Callable[..., Law]
  knobs: tuple[str, ...]
  source: str
  bias: Callable[..., Initializer] | None = None
  bias_variance: Callable[..., float] = lambda n_in, n_out: 0.0


class Dataset(NamedTuple):
  """A data set.

  input_size: `n_0`.
  num_classes: the number of labels.
  split: `(name, size, data_dir) -> Batch`, the first `size` examples (all of
    them for None; refused for generated sets) of the fixed split 'train',
    'valid' or 'test'. Splits do not depend on the seed.
  draw: `(key, size) -> Batch` of fresh examples, traceable by `jit` and
    `vmap`; None for finite sets.
  doc: one line for `--help`: description, range of inputs, source.
  """

  input_size: int
  num_classes: int
  split: Callable[[str, int | None, str], Batch]
  draw: Callable[[Key, int], Batch] | None
  doc: str
