"""The nonlinearities, and the Gaussian averages that theory needs of them.

Every function here is an ordinary elementwise JAX function; what theory asks of
one (moments, gain, where it saturates) is computed from it by quadrature and
automatic differentiation, so a new activation is one line in ACTIVATIONS.
"""

from collections.abc import Callable
import functools

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base

# A unit saturates where its slope is below this share of the steepest slope.
SATURATED_SLOPE = 0.1

_REACH = 12.0  # standard deviations that an average covers: beyond lies 4e-33
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(256)


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

  Args:
    activation: elementwise function f, smooth but for a kink at zero.
    variance: `[...]` variances of s.
    mean: of s.

  Returns:
    Three `[...]` float64 arrays.

  Examples:
    The fixed point of SELU: mean 0 and variance 1 go over into themselves.

    >>> first, second, _ = moments(jax.nn.selu, np.ones(()))
    >>> bool(abs(first) < 1e-14), bool(abs(second - 1) < 1e-14)
    (True, True)
  """
  nodes, weights = gaussian_nodes(np.asarray(variance, float), mean)
  values, slopes = evaluate(activation, nodes)
  average = lambda x: np.sum(weights * x, axis=-1)
  return average(values), average(values**2), average(slopes**2)


def gain(activation: base.Activation | str) -> float:
  """The gain that keeps a unit second moment: 1 / sqrt(E f(z)^2), z ~ N(0, 1).

  With Var[w] = gain^2 / n_in, pre-activations of variance 1 in one layer give
  pre-activations of variance 1 in the next.

  Args:
    activation: any elementwise function, or a name in ACTIVATIONS.

  Returns:
    A Python float, also while a caller is being traced.

  Raises:
    UserError: an unknown name, or an activation whose mean square is zero or
      infinite.

  Examples:
    >>> round(gain('tanh'), 6), round(gain(jax.nn.relu) ** 2, 6)
    (1.592537, 2.0)
  """
  if isinstance(activation, str):
    activation = base.lookup(ACTIVATIONS, 'activation', activation)
  with np.errstate(over='ignore', invalid='ignore'):
    _, second, _ = moments(activation, np.ones(()))
  if not 0 < second < np.inf:
    raise base.UserError(f'no gain: the activation has E f(z)^2 = {second:g}')
  return float(second**-0.5)


def steepest_slope(activation: base.Activation) -> float:
  """sup |f'|, over [-100, 100] in steps of 0.001."""
  return float(_slopes_on_grid(activation)[1].max())


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
  variance: np.ndarray, mean: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
  """Nodes and weights whose weighted sum of f is E f(s), s ~ N(mean, variance).

  Args:
    variance: `[...]` variances of s; zero gives a point mass.
    mean: of s.

  Returns:
    Nodes and weights, each `[..., 512]`.
  """
  deviation = np.sqrt(variance)[..., None]
  with np.errstate(divide='ignore', invalid='ignore'):
    kink = np.nan_to_num(np.clip(-mean / deviation, -_REACH, _REACH))
  halves = ((-_REACH, kink), (kink, _REACH))
  z = [a + (b - a) * (_NODES + 1) / 2 for a, b in halves]
  weights = [(b - a) * _WEIGHTS / 2 for a, b in halves]
  z, weights = (np.concatenate(part, -1) for part in (z, weights))
  density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
  return mean + deviation * z, weights * density


def evaluate(
  activation: base.Activation, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """f(x) and f'(x) in double precision, also while a caller is being traced."""
  with jax.enable_x64(True), jax.ensure_compile_time_eval():
    values, slopes = _value_and_slope(activation)(jnp.asarray(x, jnp.float64))
    return np.asarray(values), np.asarray(slopes)


@functools.cache
def _value_and_slope(activation: base.Activation) -> Callable[..., base.Array]:
  slope = derivative(activation)
  return jax.jit(lambda x: (activation(x), slope(x)))


@functools.cache
def _slopes_on_grid(activation: base.Activation) -> tuple[np.ndarray, ...]:
  grid = np.linspace(-100, 100, 200_001)
  return grid, np.abs(evaluate(activation, grid)[1])


@functools.cache
def _saturation_edges(activation: base.Activation) -> tuple[np.ndarray, float]:
  """Where saturation begins, ends, begins..., and whether +inf is saturated."""
  grid, slopes = _slopes_on_grid(activation)
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
