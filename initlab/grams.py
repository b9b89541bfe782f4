"""The Gram matrix of a batch, and how a layer maps it.

In a wide network, two examples x and y give the units of layer l jointly
Gaussian pre-activations, with variances q_x and q_y and correlation rho.
Whether the representations of examples converge or diverge is determined by the
second moments

    E z_x z_y = E f(s_x) f(s_y),

the dual of the activation f. When examples become alike, their differences are
lost in the rounding of E z_x z_y. A `Gram` therefore stores E (z_x - z_y)^2
beside E z_x^2, and all formulas use terms that are small for alike examples.

References:
  Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli, Exponential expressivity in
  deep neural networks through transient chaos, 2016, eq. 4-5.
  Daniely, Frostig & Singer, Toward deeper understanding of neural networks,
  2016, section 4 (dual activations and their Hermite expansion).
  Cho & Saul, Kernel methods for deep learning, 2009, eq. 3-6 (the ReLU).
"""

from typing import NamedTuple

import numpy as np

from initlab import activations, base

_MOST_TERMS = 128  # of a Hermite expansion
_NEGLIGIBLE = 1e-13  # share of E f^2 that an expansion may omit


class Gram(NamedTuple):
  """Second moments of a layer, averaged over its units.

  square: `[B]`, E z_x^2.
  distance: `[B, B]`, E (z_x - z_y)^2.
  """

  square: np.ndarray
  distance: np.ndarray

  def products(self) -> np.ndarray:
    """`[B, B]`, E z_x z_y."""
    sums = self.square[:, None] + self.square[None, :]
    return (sums - self.distance) / 2

  def within(self) -> float:
    """Variance over the examples within a unit, averaged over units.

    (1/B) sum_x z_x^2 - ((1/B) sum_x z_x)^2 is half the mean squared distance of
    two examples, an example's to itself included.
    """
    return float(np.mean(self.distance)) / 2

  def cosine(self) -> float:
    """Mean of E z_x z_y / sqrt(E z_x^2 E z_y^2) over pairs x != y; NaN for one.

    It is the correlation c of Poole et al. where E z = 0.
    """
    size = len(self.square)
    scale = np.sqrt(self.square)
    with np.errstate(divide='ignore', invalid='ignore'):
      cosines = self.products() / (scale[:, None] * scale[None, :])
      return float((cosines.sum() - np.trace(cosines)) / (size * (size - 1)))

  def scaled(self, factor: float) -> 'Gram':
    """The Gram of sqrt(factor) z."""
    return Gram(factor * self.square, factor * self.distance)

  def shifted(self, square: float) -> 'Gram':
    """The Gram of z + c, c independent of z and equal for all examples."""
    return Gram(self.square + square, self.distance)

  def times(self, other: 'Gram') -> 'Gram':
    """The Gram of the product of two independent layers, unit by unit.

    With a, b the means and d, e half the differences of the two examples'
    squares, and D, E the distances, the product's distance is
    a E + b D - D E / 2 + 2 d e, without cancellation where D and E are small.
    """
    middle = lambda x: (x[:, None] + x[None, :]) / 2
    half = lambda x: (x[:, None] - x[None, :]) / 2
    distance = (
      middle(self.square) * other.distance
      + middle(other.square) * self.distance
      - self.distance * other.distance / 2
      + 2 * half(self.square) * half(other.square)
    )
    return Gram(self.square * other.square, np.maximum(distance, 0.0))


def of_data(x: np.ndarray) -> Gram:
  """The Gram of `[B, n]` inputs."""
  x = np.asarray(x, float)
  square = (x**2).mean(axis=1)
  sums = square[:, None] + square[None, :]
  distance = np.maximum(sums - 2 * (x @ x.T) / x.shape[1], 0.0)
  np.fill_diagonal(distance, 0.0)
  return Gram(square, distance)


def dual(
  activation: base.Activation, pre: Gram, mean: float = 0.0
) -> tuple[Gram, Gram]:
  """The Grams of f(s) and of f'(s), s jointly Gaussian over the examples.

  In closed form for a positively homogeneous f with mean 0, i.e. ReLU and leaky
  ReLU. Otherwise by the Hermite expansion of z -> f(mean + sqrt(q) z) at each
  example's own q,

      E f(s_x) f(s_y) = sum_m a_m(x) a_m(y) rho^m,

  with at most 128 terms. The remainder of E f^2 and E f'^2 is treated as one
  more term, of the order that matches both, so that the limits of equal and of
  unrelated examples are exact. For smooth activations the remainder is
  negligible; a kink of f at zero causes a relative error below 1% in the
  distance of near examples. A jump of f' at zero (ReLU with a bias, SELU) is
  included exactly, by the probability that s_x and s_y differ in sign.

  Args:
    activation: elementwise function f.
    pre: the Gram of s - mean.
    mean: of s.

  Returns:
    Two Grams.
  """
  slopes = activations.homogeneous_slopes(activation)
  if mean == 0 and slopes is not None:
    return _homogeneous(*slopes, pre)
  return _expanded(activation, pre, mean)


def unlikeness(pre: Gram) -> np.ndarray:
  """1 - rho of every pair, `[B, B]`, from 0 to 2; 0 if s has no variance.

  1 - rho = (E (s_x - s_y)^2 - (sqrt(q_x) - sqrt(q_y))^2) / (2 sqrt(q_x q_y)).
  """
  deviation = np.sqrt(pre.square)
  apart = (deviation[:, None] - deviation[None, :]) ** 2
  scale = 2 * deviation[:, None] * deviation[None, :]
  with np.errstate(divide='ignore', invalid='ignore'):
    found = np.where(scale > 0, (pre.distance - apart) / scale, 0.0)
  return np.clip(found, 0.0, 2.0)


def angles(pre: Gram) -> np.ndarray:
  """arccos rho of every pair, `[B, B]`."""
  return 2 * np.arcsin(np.sqrt(unlikeness(pre) / 2))


def _homogeneous(up: float, down: float, pre: Gram) -> tuple[Gram, Gram]:
  """`dual` of f(s) = up s for s > 0 and down s below: a s + b |s|.

  With theta = arccos rho, E |s_x||s_y| = sqrt(q_x q_y) (2/pi) (sin theta +
  (pi/2 - theta) cos theta), E s_x |s_y| = 0, and of the signs E = 1 - 2 theta /
  pi (Cho & Saul, 2009, eq. 6 with n = 1 and 0).
  """
  a, b = (up + down) / 2, (up - down) / 2
  deviation = np.sqrt(pre.square)
  theta = angles(pre)
  lost = 2 * np.sin(theta / 2) ** 2 - 2 / np.pi * (
    np.sin(theta) - theta * np.cos(theta)
  )
  sizes = (deviation[:, None] - deviation[None, :]) ** 2
  sizes = sizes + 2 * deviation[:, None] * deviation[None, :] * lost
  values = Gram((a**2 + b**2) * pre.square, a**2 * pre.distance + b**2 * sizes)
  slopes = Gram(np.full(len(theta), a**2 + b**2), 4 * b**2 / np.pi * theta)
  return values, slopes


def _expanded(
  activation: base.Activation, pre: Gram, mean: float
) -> tuple[Gram, Gram]:
  deviation = np.sqrt(pre.square)
  z, weights = activations.standard_nodes(pre.square, mean)
  nodes = mean + deviation[:, None] * z
  values, slopes = activations.evaluate(activation, nodes)
  _, square, slope_square = activations.moments(activation, pre.square, mean)
  of_values = _coefficients(values, weights, z, square)
  of_slopes = _coefficients(slopes, weights, z, slope_square)
  apart = unlikeness(pre)
  # Each term of order m adds m a_m^2 to q E f'^2, so the remainder of that over
  # the remainder of E f^2 is the order of the remainder.
  orders = np.arange(of_values.shape[1])
  rest = _left(square - np.sum(of_values**2, 1), square)
  weight = pre.square * slope_square - np.sum(orders * of_values**2, 1)
  with np.errstate(divide='ignore', invalid='ignore'):
    order = np.where(rest > 0, weight / rest, 0.0)
  order = np.maximum(order, float(len(orders)))
  distance = _distance(of_values, apart) + _rest(rest, order, apart)

  slope_distance = _distance(of_slopes, apart)
  rest = slope_square - np.sum(of_slopes**2, 1)
  jump = activations.slope_jump(activation)
  if jump:
    share, missed = _beyond_jump(pre, mean, apart, of_slopes.shape[1])
    rest = rest - jump**2 * share
    slope_distance = slope_distance + jump**2 * missed
  order = np.full(len(rest), 4.0 * of_slopes.shape[1])
  slope_distance += _rest(_left(rest, slope_square), order, apart)
  return Gram(square, distance), Gram(slope_square, slope_distance)


def _beyond_jump(
  pre: Gram, mean: float, apart: np.ndarray, terms: int
) -> tuple[np.ndarray, np.ndarray]:
  """The remainder of an expansion of the step H(s) = [s > 0].

  With h = -mean / sqrt(q), H has the coefficients phi(h) h_{m-1}(h) / sqrt(m),
  and the probability that s_x and s_y differ in sign is 2 T(h, a) + 2 T(k, b),
  a = (k - rho h) / (h sqrt(1 - rho^2)), by Owen's T; arccos(rho) / pi if h = 0.

  References:
    Owen, Tables for computing bivariate normal probabilities, 1956, eq. 2.1.
  """
  from scipy import special

  deviation = np.sqrt(pre.square)
  with np.errstate(divide='ignore', invalid='ignore'):
    h = np.where(mean == 0, 0.0, -mean / deviation)
  size = np.exp(-0.5 * h**2) / np.sqrt(2 * np.pi)
  h = np.where(size > 0, h, np.sign(h) * 40)
  share = special.ndtr(-h)
  below, here = np.zeros_like(h), np.ones_like(h)
  found = [share]
  for m in range(1, terms):
    found.append(size * here / np.sqrt(m))
    below, here = here, (h * here - np.sqrt(m - 1) * below) / np.sqrt(m)
  coefficients = np.stack(found, axis=1)
  if mean == 0:
    differ = 2 * np.arcsin(np.sqrt(apart / 2)) / np.pi
  else:
    x, y = h[:, None], h[None, :]
    with np.errstate(divide='ignore', invalid='ignore'):
      slope = (y - x + x * apart) / (x * np.sqrt(apart * (2 - apart)))
    owen = special.owens_t(x, np.nan_to_num(slope))
    differ = 2 * (owen + owen.T)
    np.fill_diagonal(differ, 0.0)
  left = share - np.sum(coefficients**2, axis=1)
  return left, differ - _distance(coefficients, apart)


def _coefficients(
  values: np.ndarray, weights: np.ndarray, z: np.ndarray, square: np.ndarray
) -> np.ndarray:
  """`[B, M]` Hermite coefficients, M the fewest that suffice, at most 128.

  Of the normalized polynomials, h_{m+1} = (z h_m - sqrt(m) h_{m-1}) /
  sqrt(m + 1). Two in a row must add nothing, since every other one of an even
  or odd function is zero.
  """
  weighted = weights * values
  below, here = np.zeros_like(z), np.ones_like(z)
  found: list[np.ndarray] = []
  left = np.array(square)
  for m in range(_MOST_TERMS):
    found.append(np.sum(weighted * here, axis=-1))
    left = left - found[-1] ** 2
    if m > 1 and np.all(left <= _NEGLIGIBLE * square):
      break
    below, here = here, (z * here - np.sqrt(m) * below) / np.sqrt(m + 1)
  return np.stack(found, axis=1)


def _distance(coefficients: np.ndarray, apart: np.ndarray) -> np.ndarray:
  """E (f_x - f_y)^2 = sum_m (a_m - b_m)^2 + 2 a_m b_m (1 - rho^m).

  1 - rho^m grows by rho^m (1 - rho) from one m to the next.
  """
  total = np.zeros_like(apart)
  power, lost = np.ones_like(apart), np.zeros_like(apart)
  for a in coefficients.T:
    total += (a[:, None] - a[None, :]) ** 2
    total += 2 * a[:, None] * a[None, :] * lost
    lost += power * apart
    power *= 1 - apart
  np.fill_diagonal(total, 0.0)
  return total


def _left(rest: np.ndarray, square: np.ndarray) -> np.ndarray:
  """The remainder, 0 if negligible: rounding would separate equal examples."""
  return np.where(rest > 10 * _NEGLIGIBLE * square, rest, 0.0)


def _rest(
  square: np.ndarray, order: np.ndarray, apart: np.ndarray
) -> np.ndarray:
  """The distance due to one term; its order is the geometric mean of two."""
  root = np.sqrt(square)
  order = np.sqrt(order[:, None] * order[None, :])
  with np.errstate(divide='ignore'):
    lost = -np.expm1(order * np.log1p(-np.minimum(apart, 1.0)))
  apart = (root[:, None] - root[None, :]) ** 2
  return apart + 2 * root[:, None] * root[None, :] * lost
