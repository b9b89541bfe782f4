"""Singular values of the input-output Jacobian of deep networks.

At the fixed point q of a wide network, see `meanfield`, the Jacobian of L
layers J = D_L W_L ... D_1 W_1 is a product of independent matrices: D_l is
diagonal with entries f'(s), s ~ N(0, q), and W_l square with entries of the
variance sw2 / n, either independent or of a scaled orthogonal matrix. Free
probability multiplies their S-transforms,

    S_{J J^T}(m) = (S_{W W^T}(m) S_{D^2}(m))^L,

with S_{W W^T} = 1 / sw2 for orthogonal and 1 / (sw2 (1 + m)) for independent
weights. So the eigenvalue z of J J^T and its moment generating function m(z)
satisfy

    z = (1 + m) / m (sw2 g(m) m x(m) / (1 + m))^L,

where g is 1 or 1 + m, and x is the inverse of E f'^2 / (x - f'^2) = m.

References:
  Pennington, Schoenholz & Ganguli, Resurrecting the sigmoid in deep learning
  through dynamical isometry, 2017. https://arxiv.org/abs/1711.04735
  Pennington, Schoenholz & Ganguli, The emergence of spectral universality in
  deep networks, 2018. https://arxiv.org/abs/1802.09979
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from initlab import activations, base, functions, meanfield

# -> s_1, of S_{W W^T} = (1 + s_1 m + ...) / sw2, and g.
_WEIGHTS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
  'orthogonal': (0.0, np.ones_like),
  'normal': (-1.0, lambda m: 1 + m),
}

_HEIGHT = 1e-9  # at which a path to the real axis ends, relative
_FAR = 1e4  # where it begins, relative
_STEPS = 40  # of its radial part, and of its turn to the axis
_NEWTON = 3  # corrections a step


class Moments(NamedTuple):
  """Of the eigenvalues of J J^T, the squared singular values.

  mean: (sw2 E f'^2)^L.
  variance: mean^2 L (mu_2 / mu_1^2 - 1 - s_1), mu_k = E f'^(2k), where s_1 is 0
    for orthogonal and -1 for independent weights.
  """

  mean: float
  variance: float


def moments(
  activation: functions.Named,
  q: float,
  depth: int,
  weights: str = 'orthogonal',
  weight_variance: float | None = None,
) -> Moments:
  """Mean and variance of the squared singular values of J.

  Args:
    activation: f, or its name.
    q: variance of the pre-activations.
    depth: L.
    weights: 'orthogonal', or 'normal' for independent ones of any distribution.
    weight_variance: sw2; critical if None, so that the mean is 1.

  References:
    Pennington et al., 2017 and 2018: m_1 and sigma^2 of J J^T.

  Examples:
    ReLU: L and 2 L.

    >>> for weights in ('orthogonal', 'normal'):
    ...   print(round(moments('relu', 1.0, 8, weights).variance, 9))
    8.0
    16.0
  """
  law = _law(activation, q, depth, weights, weight_variance)
  first = np.sum(law.share * law.square)
  second = np.sum(law.share * law.square**2)
  mean = float((law.weight_variance * first) ** depth)
  s_1, _ = _WEIGHTS[weights]
  spread = depth * (second / first**2 - 1 - s_1)
  return Moments(mean, float(mean**2 * spread))


def atoms(
  activation: functions.Named,
  q: float,
  depth: int,
  weights: str = 'orthogonal',
  weight_variance: float | None = None,
) -> dict[float, float]:
  """Singular values of J that a share of directions has exactly.

  What f' kills with a probability p is lost once and for all, whatever the
  depth: 0 has the share p. A slope that f' has with a probability a survives L
  orthogonal layers in the share 1 - L (1 - a) of directions, if that is
  positive (Bercovici & Voiculescu, 1998, theorem 7.4, of a free product).

  Args:
    activation, q, depth, weights, weight_variance: as for `moments`.

  Returns:
    Singular value -> its share.

  Examples:
    >>> atoms('relu', 1.0, 8)
    {0.0: 0.5}
  """
  law = _law(activation, q, depth, weights, weight_variance)
  found = {}
  for share, square in zip(law.share, law.square, strict=True):
    left = share if square == 0 else 1 - depth * (1 - share)
    if left > 1e-9 and (square == 0 or weights == 'orthogonal'):
      value = (law.weight_variance * square) ** (depth / 2)
      found[float(value)] = round(float(left), 12)
  return found


def largest(
  activation: functions.Named,
  q: float,
  depth: int,
  weights: str = 'orthogonal',
  weight_variance: float | None = None,
) -> float:
  """The largest singular value of J, the edge of the density.

  z(m) above falls from infinity as m grows from 0 and has its minimum at the
  edge, which is found to 1e-7 of itself.

  Args:
    activation, q, depth, weights, weight_variance: as for `moments`.

  Examples:
    Of the product of 4 normal matrices: sqrt(5^5 / 4^4).

    >>> round(largest('identity', 1.0, 4, 'normal') ** 2, 4)
    12.207
  """
  from scipy import optimize

  law = _law(activation, q, depth, weights, weight_variance)
  top = law.square.max()

  def log_z(log_distance: float) -> float:
    x = np.array(top * (1 + np.exp(log_distance)))
    return float(law.log_z(x, law.transform(x)))

  grid = np.linspace(-30, 10, 401)
  index = int(np.argmin([log_z(each) for each in grid]))
  bounds = grid[max(index - 1, 0)], grid[min(index + 1, 400)]
  found = optimize.minimize_scalar(
    log_z, bounds=bounds, method='bounded', options={'xatol': 1e-10}
  )
  return float(np.exp(found.fun / 2))


def density(
  activation: functions.Named,
  q: float,
  depth: int,
  singular_values: np.ndarray,
  weights: str = 'orthogonal',
  weight_variance: float | None = None,
) -> np.ndarray:
  """The density of the singular values of J, beside their `atoms`.

  z is led from far up in the complex
  plane, where m = E lambda / z, down to the real axis, with m corrected by
  Newton's method at each of 80 steps; the density of z is -Im m / (pi z). Of a
  smooth f' the quadrature is off by less than 1e-4 of the moments.
  A single orthogonal layer has the law of |f'(s)|, which need not have a
  density; that is refused.

  Args:
    activation, q, depth, weights, weight_variance: as for `moments`.
    singular_values: `[N]` positive values s at which it is wanted.

  Returns:
    `[N]` densities.

  Raises:
    UserError: one orthogonal layer, or a linear network of orthogonal ones,
      whose singular values are all the same.

  Examples:
    The quarter-circle law sqrt(4 - s^2) / pi of one normal matrix.

    >>> s = np.array([0.5, 1.0, 1.9])
    >>> found = density('identity', 1.0, 1, s, 'normal')
    >>> bool(np.allclose(found, np.sqrt(4 - s**2) / np.pi, atol=1e-6))
    True
  """
  law = _law(activation, q, depth, weights, weight_variance)
  if weights == 'orthogonal' and (depth == 1 or np.ptp(law.square) < 1e-12):
    raise base.UserError(
      'the singular values of one orthogonal layer, or of a linear network of '
      'them, have no density'
    )
  z = np.asarray(singular_values, float) ** 2
  if not np.all(z > 0):
    raise base.UserError('a density is asked for at positive singular values')
  size, ends = np.log(z), np.log(_FAR * max(law.mean, z.max()))
  down = [ends + (size - ends) * t + 0.5j * np.pi for t in _ramp()]
  turn = [size + 1j * (_HEIGHT + 0.5 * np.pi * (1 - t)) for t in _ramp()]
  # Far up m = mean / z, and x = E f'^2 / m.
  x = law.first * np.exp(down[0]) / law.mean
  for log_z in (*down, *turn):
    x = _solve(law, x, log_z)
  m = law.transform(x)
  return 2 * np.maximum(-m.imag, 0.0) / np.pi / np.sqrt(z)


class _Law(NamedTuple):
  """What the equation of m is made of.

  share, square: the law of f'(s)^2, `[K]` probabilities and values.
  weight_variance, depth: sw2 and L.
  factor: g.
  """

  share: np.ndarray
  square: np.ndarray
  weight_variance: float
  depth: int
  factor: Callable[[np.ndarray], np.ndarray]

  @property
  def first(self) -> float:
    """E f'^2."""
    return float(np.sum(self.share * self.square))

  @property
  def mean(self) -> float:
    """E z."""
    return (self.weight_variance * self.first) ** self.depth

  def transform(self, x: np.ndarray) -> np.ndarray:
    """m(x) = E f'^2 / (x - f'^2)."""
    return np.sum(self.share * self.square / (x[..., None] - self.square), -1)

  def transform_slope(self, x: np.ndarray) -> np.ndarray:
    """dm / dx."""
    below = (x[..., None] - self.square) ** 2
    return -np.sum(self.share * self.square / below, -1)

  def log_z(self, x: np.ndarray, m: np.ndarray) -> np.ndarray:
    """log z(x, m), up to a multiple of 2 pi i."""
    layer = self.weight_variance * self.factor(m) * m * x / (1 + m)
    return np.log((1 + m) / m) + self.depth * np.log(layer)


def _law(
  activation: functions.Named,
  q: float,
  depth: int,
  weights: str,
  weight_variance: float | None,
) -> _Law:
  _, factor = base.lookup(_WEIGHTS, 'kind of weights', weights)
  if depth < 1:
    raise base.UserError(f'depth must be at least 1, not {depth}')
  share, square = _slopes(activation, q)
  first = float(np.sum(share * square))
  if weight_variance is None:
    weight_variance = 1 / first
  return _Law(share, square, float(weight_variance), depth, factor)


def _slopes(
  activation: functions.Named, q: float
) -> tuple[np.ndarray, np.ndarray]:
  """The law of f'(s)^2: probabilities and values, equal ones as one."""
  s, weights = meanfield.nodes(activation, q)
  _, slopes = activations.evaluate(activations.resolve(activation), s)
  square, where = np.unique(slopes**2, return_inverse=True)
  share = np.bincount(where, weights)
  kept = share > 1e-18
  return share[kept] / share[kept].sum(), square[kept]


def _ramp() -> np.ndarray:
  return np.linspace(0, 1, _STEPS)


def _solve(law: _Law, x: np.ndarray, log_z: np.ndarray) -> np.ndarray:
  """x with log z(x) as given, from one near it, by Newton's method in log x."""
  for _ in range(_NEWTON):
    m, slope = law.transform(x), law.transform_slope(x)
    off = law.log_z(x, m) - log_z
    off = off.real + 1j * ((off.imag + np.pi) % (2 * np.pi) - np.pi)
    small = 1e-6 * m
    bent = np.log(law.factor(m + small)) - np.log(law.factor(m - small))
    of_m = law.depth * (bent / (2 * small) + 1 / m - 1 / (1 + m))
    of_m = of_m + 1 / (1 + m) - 1 / m
    x = x * np.exp(-off / (law.depth + x * slope * of_m))
  return x
