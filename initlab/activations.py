"""Activation functions, and the Gaussian averages that theory needs of them.

Every activation is an ordinary elementwise JAX function. Its moments, gain and
saturation are computed by quadrature and automatic differentiation, so a new
activation is one line in ACTIVATIONS, or a user's function, see `resolve`.
"""

from collections.abc import Callable
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, functions

# A unit is saturated where its slope is below this share of the steepest slope.
SATURATED_SLOPE = 0.1

_REACH = 12.0  # standard deviations covered; the mass beyond is 4e-33
_AGREED = 1e-10  # largest relative difference of two rules that agree
_MOST_PIECES = 4000
_HALVINGS = 40  # most bisections of an interval


def identity(x: base.Array) -> base.Array:
  """f(x) = x, under which every linear theory is exact."""
  return x


def lecun_tanh(x: base.Array) -> base.Array:
  """f(x) = 1.7159 tanh(2x/3), with f(+-1) = +-1.

  References:
    LeCun, Bottou, Orr & Mueller, Efficient BackProp, 1998, section 4.4.
  """
  return 1.7159 * jnp.tanh(x * (2 / 3))


def prelu(x: base.Array, slope: float = 0.25) -> base.Array:
  """f(x) = max(x, 0) + slope min(x, 0), at its initial slope.

  References:
    He, Zhang, Ren & Sun, Delving deep into rectifiers, 2015, eq. 1.
  """
  return jnp.where(x > 0, x, slope * x)


def erf(x: base.Array) -> base.Array:
  """f(x) = erf(sqrt(pi) x / 2), with f'(0) = 1: its averages are closed forms.

  References:
    Pennington, Schoenholz & Ganguli, The emergence of spectral universality in
    deep networks, 2018.
  """
  return jax.lax.erf(x * (math.pi**0.5 / 2))


def derivative(activation: base.Activation) -> base.Activation:
  """The elementwise derivative f', for arrays of any shape."""

  def slope(x: base.Array) -> base.Array:
    return jax.vmap(jax.grad(activation))(x.ravel()).reshape(x.shape)

  return slope


def moments(
  activation: base.Activation,
  variance: np.ndarray,
  mean: float = 0.0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """E f(s), E f(s)^2 and E f'(s)^2 for s ~ N(mean, variance).

  By Gauss-Legendre quadrature in double precision over 12 standard deviations
  on either side, split at s = 0, where piecewise activations have their kink.
  If two such rules disagree, intervals are bisected adaptively.

  Args:
    activation: elementwise function f.
    variance: `[...]` variances of s.
    mean: of s.

  Returns:
    Three `[...]` float64 arrays, with errors below 1e-8 of sqrt(E f^2), E f^2
    and E f'^2. NaN if 4,000 intervals do not achieve that, as for sin at a
    standard deviation of 10,000.

  Examples:
    Mean 0 and variance 1 are a fixed point of SELU.

    >>> first, second, _ = moments(jax.nn.selu, np.ones(()))
    >>> bool(abs(first) < 1e-14), bool(abs(second - 1) < 1e-14)
    (True, True)
  """
  variance = np.asarray(variance, float)
  flat = variance.ravel()
  coarse, found = (
    _averages(activation, mean, np.sqrt(flat)[:, None], *rule)
    for rule in (_two_pieces(flat, mean), _graded_pieces(flat, mean))
  )
  for index in np.flatnonzero(~_agree(coarse, found, found)):
    found[:, index] = _adaptive(activation, float(flat[index]), mean)
  first, second, slope = found.reshape(3, *variance.shape)
  return first, second, slope


def _averages(
  activation: base.Activation,
  mean: float,
  deviation: np.ndarray,
  z: np.ndarray,
  weights: np.ndarray,
) -> np.ndarray:
  """Integrals of f, f^2 and f'^2 over the last axis of the nodes, `[3, N]`."""
  values, slopes = evaluate(activation, mean + deviation * z)
  with np.errstate(over='ignore', invalid='ignore'):
    parts = (values, values**2, slopes**2)
    return np.stack([np.sum(weights * part, axis=-1) for part in parts])


def _agree(
  coarse: np.ndarray, fine: np.ndarray, whole: np.ndarray
) -> np.ndarray:
  """Whether two rules agree to a relative 1e-10, `[N]`."""
  with np.errstate(invalid='ignore'):
    scale = np.stack([np.sqrt(whole[1]), whole[1], whole[2]])
    near = np.abs(fine - coarse) <= _AGREED * scale
    return np.all(near | (coarse == fine), axis=0)


def _adaptive(
  activation: base.Activation, variance: float, mean: float
) -> np.ndarray:
  """E f, E f^2 and E f'^2 by adaptive bisection of [-12, 12], `[3]`."""
  deviation = np.sqrt(variance)
  low, high = _graded_edges(np.asarray([variance]), mean)
  low, high = low[0], high[0]

  def integrals(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    # Pad to a power of two, so that few shapes are compiled.
    count = len(low)
    size = 1 << max(count - 1, 1).bit_length()
    edges = (np.resize(low, size), np.resize(high, size))
    rule = gauss_rule(*edges, 16)
    return _averages(activation, mean, deviation, *rule)[:, :count]

  open_ = integrals(low, high)
  whole, found, pieces = open_.sum(axis=1), np.zeros(3), len(low)
  for _ in range(_HALVINGS):
    middle = (low + high) / 2
    left, right = integrals(low, middle), integrals(middle, high)
    halves = left + right
    whole = found + halves.sum(axis=1)
    settled = _agree(open_, halves, whole[:, None])
    found = found + halves[:, settled].sum(axis=1)
    pieces += np.sum(~settled)
    if settled.all():
      return found
    if pieces > _MOST_PIECES:
      return np.full(3, np.nan)
    rest = ~settled
    low, high = (
      np.concatenate([low[rest], middle[rest]]),
      np.concatenate([middle[rest], high[rest]]),
    )
    open_ = np.concatenate([left[:, rest], right[:, rest]], axis=1)
  # The remaining intervals contain jumps and are shorter than 12 * 2^-40.
  return found + open_.sum(axis=1)


def gain(activation: base.Activation | str) -> float:
  """The gain that keeps a unit second moment: 1 / sqrt(E f(z)^2), z ~ N(0, 1).

  With Var[w] = gain^2 / n_in, pre-activations of variance 1 in one layer give
  pre-activations of variance 1 in the next.

  Args:
    activation: any elementwise function, or what `resolve` takes.

  Returns:
    A Python float, also under tracing.

  Raises:
    UserError: the name is unknown, or the mean square of the activation is zero
      or infinite.

  Examples:
    >>> round(gain('tanh'), 6), round(gain(jax.nn.relu) ** 2, 6)
    (1.592537, 2.0)
  """
  activation = resolve(activation)
  with np.errstate(over='ignore', invalid='ignore'):
    _, second, _ = moments(activation, np.ones(()))
  if not 0 < second < np.inf:
    raise base.UserError(f'no gain: the activation has E f(z)^2 = {second:g}')
  return float(second**-0.5)


@functools.cache
def squared(activation: base.Activation) -> base.Activation:
  """f(s)^2."""
  return lambda x: activation(x) ** 2


@functools.cache
def homogeneous_slopes(
  activation: base.Activation,
) -> tuple[float, float] | None:
  """Slopes above and below zero if f(s) = |s| f(sign s), as for the ReLU.

  Args:
    activation: elementwise function f.

  Returns:
    f(1) and -f(-1), or None. Tested in double precision at 25 values of |s|
    from 1e-6 to 1e6.
  """
  size = np.geomspace(1e-6, 1e6, 25)
  up = evaluate(activation, size)[0] / size
  down = evaluate(activation, -size)[0] / -size
  level = lambda x: np.all(np.abs(x - x[0]) <= 1e-12 * np.abs(x[0]))
  return (float(up[0]), float(down[0])) if level(up) and level(down) else None


@functools.cache
def slope_jump(activation: base.Activation) -> float:
  """f'(0+) - f'(0-), e.g. 1 for the ReLU; 0 if it is below 1e-6."""
  above, below = evaluate(activation, np.array([1e-9, -1e-9]))[1]
  jump = float(above - below)
  return jump if abs(jump) > 1e-6 else 0.0


def steepest_slope(activation: base.Activation) -> float:
  """sup |f'|, over [-100, 100] in steps of 0.001."""
  return float(np.abs(slopes_on_grid(activation)[1]).max())


def saturated_share(
  activation: base.Activation, variance: np.ndarray, mean: float = 0.0
) -> np.ndarray:
  """P(|f'(s)| < SATURATED_SLOPE sup |f'|) for s ~ N(mean, variance).

  Args:
    activation: elementwise function f.
    variance: `[...]` variances of s; zero makes s its mean.
    mean: of s.

  Returns:
    `[...]` shares between 0 and 1.
  """
  from scipy import special

  edges, saturated_at_end = _saturation_edges(activation)
  signs = np.resize([-1.0, 1.0], len(edges))
  deviation = np.sqrt(np.asarray(variance, float))[..., None]
  with np.errstate(divide='ignore', invalid='ignore'):
    standard = np.nan_to_num(
      (edges - mean) / deviation, nan=0.0, posinf=np.inf, neginf=-np.inf
    )
  return np.sum(signs * special.ndtr(standard), axis=-1) + saturated_at_end


def gaussian_nodes(
  variance: np.ndarray, mean: float | np.ndarray = 0.0
) -> tuple[np.ndarray, np.ndarray]:
  """Nodes and weights whose weighted sum of f is E f(s), s ~ N(mean, variance).

  Args:
    variance: `[...]` variances of s; zero gives a point mass.
    mean: of s, a number or `[..., 1]`.

  Returns:
    Nodes and weights, each `[..., 512]`.
  """
  z, weights = standard_nodes(variance, mean)
  return mean + np.sqrt(variance)[..., None] * z, weights


def standard_nodes(
  variance: np.ndarray, mean: float | np.ndarray = 0.0
) -> tuple[np.ndarray, np.ndarray]:
  """The same for E f(mean + sqrt(variance) z), with nodes z, z ~ N(0, 1)."""
  return _two_pieces(np.asarray(variance, float), mean)


def _kink(variance: np.ndarray, mean: float | np.ndarray) -> np.ndarray:
  """The z at which s = 0, within [-12, 12], `[..., 1]`."""
  with np.errstate(divide='ignore', invalid='ignore'):
    kink = -mean / np.sqrt(variance)[..., None]
  return np.nan_to_num(np.clip(kink, -_REACH, _REACH))


def _two_pieces(
  variance: np.ndarray, mean: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """A rule of 256 nodes on either side of the kink, `[..., 512]`."""
  kink = _kink(variance, mean)
  ends = np.full_like(kink, _REACH)
  low, high = (
    np.concatenate(each, axis=-1) for each in ((-ends, kink), (kink, ends))
  )
  return _flat(*gauss_rule(low, high, 256))


def _graded_pieces(
  variance: np.ndarray, mean: float
) -> tuple[np.ndarray, np.ndarray]:
  """16 nodes on intervals that halve towards the kink, `[..., 672]`."""
  return _flat(*gauss_rule(*_graded_edges(variance, mean), 16))


def _graded_edges(
  variance: np.ndarray, mean: float
) -> tuple[np.ndarray, np.ndarray]:
  """Both ends of 21 intervals on either side of the kink, `[..., 42]` each."""
  kink = _kink(variance, mean)
  far = 0.5 ** np.arange(21)
  near = np.append(far[1:], 0.0)
  sides = (-_REACH - kink, _REACH - kink)
  ends = [
    np.concatenate([kink + side * share for side in sides], axis=-1)
    for share in (near, far)
  ]
  return np.minimum(*ends), np.maximum(*ends)


def gauss_rule(
  low: np.ndarray, high: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
  """Gauss-Legendre nodes of each interval; weights times the normal density.

  Args:
    low, high: `[...]` ends of the intervals.
    count: nodes per interval.

  Returns:
    Nodes z and weights, `[..., count]` each.
  """
  nodes, weights = _legendre(count)
  half = (high - low)[..., None] / 2
  z = low[..., None] + half * (nodes + 1)
  return z, half * weights * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)


_legendre = functools.cache(np.polynomial.legendre.leggauss)


def _flat(z: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  shape = (*z.shape[:-2], -1)
  return z.reshape(shape), weights.reshape(shape)


def evaluate(
  activation: base.Activation, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """f(x) and f'(x) in double precision, also under tracing."""
  with jax.enable_x64(True), jax.ensure_compile_time_eval():
    values, slopes = _value_and_slope(activation)(jnp.asarray(x, jnp.float64))
    return np.asarray(values), np.asarray(slopes)


@functools.cache
def _value_and_slope(activation: base.Activation) -> Callable[..., base.Array]:
  slope = derivative(activation)
  return jax.jit(lambda x: (activation(x), slope(x)))


@functools.cache
def slopes_on_grid(
  activation: base.Activation,
) -> tuple[np.ndarray, np.ndarray]:
  """x and f'(x) over [-100, 100] in steps of 0.001, `[200_001]` each."""
  grid = np.linspace(-100, 100, 200_001)
  return grid, evaluate(activation, grid)[1]


@functools.cache
def _saturation_edges(activation: base.Activation) -> tuple[np.ndarray, float]:
  """Where saturation begins, ends, begins..., and whether +inf is saturated."""
  grid, slopes = slopes_on_grid(activation)
  slopes = np.abs(slopes)
  limit = SATURATED_SLOPE * slopes.max()
  low = slopes < limit
  flips = np.flatnonzero(low[1:] != low[:-1])
  left, right = grid[flips], grid[flips + 1]
  for _ in range(40):
    middle = (left + right) / 2
    same = (np.abs(evaluate(activation, middle)[1]) < limit) == low[flips]
    left, right = np.where(same, middle, left), np.where(same, right, middle)
  return np.concatenate([[-np.inf] if low[0] else [], left]), float(low[-1])


ACTIVATIONS: dict[str, base.Activation] = {
  'identity': identity,
  'sigmoid': jax.nn.sigmoid,
  'tanh': jnp.tanh,
  'lecun_tanh': lecun_tanh,
  'erf': erf,
  'softsign': jax.nn.soft_sign,
  'relu': jax.nn.relu,
  'leaky_relu': jax.nn.leaky_relu,
  'prelu': prelu,
  'elu': jax.nn.elu,
  'selu': jax.nn.selu,
  'gelu': functools.partial(jax.nn.gelu, approximate=False),
  'silu': jax.nn.silu,
  'softplus': jax.nn.softplus,
  'sin': jnp.sin,
}


def resolve(activation: functions.Named) -> base.Activation:
  """The elementwise function named by a knob.

  Args:
    activation: a function; or a key of `ACTIVATIONS` or the dotted path of a
      function, with knobs, as in 'prelu:slope=0.1' or 'mylab.acts.mish'. The
      knobs are all parameters but the first.

  Returns:
    The function; the same object for equal texts.

  Raises:
    UserError: the function or the knob does not exist, or the function is not
      elementwise.

  Examples:
    >>> float(resolve('prelu:slope=0.5')(jnp.float32(-1)))
    -0.5
  """
  return _named(activation)[1]


def named(activation: functions.Named) -> functions.Named:
  """The same with its knobs in canonical form.

  Raises:
    UserError: as `resolve`, or the function cannot be hashed.

  Examples:
    >>> named('prelu:slope=.1')
    'prelu:slope=0.1'
  """
  return _named(activation)[0]


def _named(
  activation: functions.Named,
) -> tuple[functions.Named, base.Activation]:
  if callable(activation):
    functions.hashable(activation)
    return activation, _elementwise(activation, ())
  name, given = functions.split(activation)
  if '.' in name:
    function = functions.imported(name)
  else:
    function = functions.lookup(ACTIVATIONS, 'activation', name)
  known = functions.knobs_of(function, after=1) if given else {}
  knobs = functions.values(name, given, known)
  return functions.joined(name, knobs), _elementwise(
    function, tuple(knobs.items())
  )


@functools.cache
def _elementwise(
  function: base.Activation, knobs: tuple[tuple[str, Any], ...]
) -> base.Activation:
  """The function with its knobs, after checking the shape of its result."""
  activation = functools.partial(function, **dict(knobs)) if knobs else function
  label = functions.label(function)
  x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
  try:
    found = jax.eval_shape(activation, x)
  except Exception as error:
    kind = type(error).__name__
    what = f'{label} is not an activation of one array: {kind}: {error}'
    raise base.UserError(what) from error
  if getattr(found, 'shape', None) != x.shape:
    raise base.UserError(
      f'{label} is not elementwise: for an array of shape {x.shape} it returns '
      f'{found}'
    )
  return activation
