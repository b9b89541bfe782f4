"""Mean field theory of wide networks: signals, their correlations, and phases.

A layer of independent weights of variance sw2 / n_in and biases of variance sb2
turns pre-activations of variance q into pre-activations of variance

    V(q) = sw2 E f(sqrt(q) z)^2 + sb2,                       z ~ N(0, 1),

and two examples of that variance whose correlation is c into a pair of the
covariance

    C(q, c) = sw2 E f(u_1) f(u_2) + sb2,

where u_1 and u_2 are Gaussian with variance q and correlation c. Both are
iterated to the fixed points q* and c*. The slope of C(q*, c) / q* at c = 1,

    chi_1 = sw2 E f'(sqrt(q*) z)^2,

is also the factor by which a layer multiplies the variance of the gradient. The
phase is ordered where chi_1 < 1 (all examples become alike, gradients vanish),
chaotic where chi_1 > 1 (near examples part, gradients explode), and critical
where chi_1 = 1.

In the lab's own words sw2 = n_in Var[w], so a scheme of gain g and variance
g^2 / n_in has sw2 = g^2. Everything holds for any activation: kinks of f are
located and the quadrature is split there. The error of each number is known:
functions return it, or bound it in their docstrings.

References:
  Poole, Lahiri, Raghu, Sohl-Dickstein & Ganguli, Exponential expressivity in
  deep neural networks through transient chaos, 2016, eq. 3-6.
  https://arxiv.org/abs/1606.05340
  Schoenholz, Gilmer, Ganguli & Sohl-Dickstein, Deep information propagation,
  2017, section 3. https://arxiv.org/abs/1611.01232
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from initlab import activations, base, fixed_points, functions, quadrature

_CHUNK = 4096  # settings that are solved at once
_NEAR = 1e-3  # of chi_1 to 1, where a signal of variance 1 ends critical


class FixedPoint(NamedTuple):
  """Where a wide network of one setting (sw2, sb2) ends, `[...]` each.

  q: q*, the variance of the pre-activations that a signal of variance 1 tends
    to. 0 if it dies out, infinite if it grows without bound.
  chi_1: sw2 E f'^2 at q*, the factor of a gradient's variance a layer.
  chi_q: dV/dq at q*, the factor by which q - q* shrinks a layer.
  c: c*, the correlation that different examples tend to.
  chi_c: the slope of the correlation map at c*.
  error: of q*, relative, and of c*, absolute: the larger of the two.
  """

  q: np.ndarray
  chi_1: np.ndarray
  chi_q: np.ndarray
  c: np.ndarray
  chi_c: np.ndarray
  error: np.ndarray

  @property
  def xi_q(self) -> np.ndarray:
    """Layers in which q - q* falls by e: -1 / log |chi_q|.

    With chi_q = chi_1 + sw2 E f'' f (Schoenholz et al., 2017, section 3.1).
    """
    return _depth(self.chi_q)

  @property
  def xi_c(self) -> np.ndarray:
    """Layers in which c - c* falls by e: -1 / log chi_c, infinite if critical.

    With chi_c = sw2 E f'(u_1) f'(u_2) (Schoenholz et al., 2017, section 3.2).
    """
    return _depth(self.chi_c)

  @property
  def xi_gradient(self) -> np.ndarray:
    """Layers in which a gradient's variance changes by e: 1 / |log chi_1|.

    Schoenholz et al., 2017, section 4.
    """
    return np.abs(_depth(self.chi_1))


class Path(NamedTuple):
  """The variance and the correlation after 0, 1, ..., L layers, `[L + 1]`."""

  q: np.ndarray
  c: np.ndarray


class Critical(NamedTuple):
  """A point of the critical line.

  weight_variance: sw2 = n_in Var[w].
  bias_variance: sb2.
  q: the fixed point of the variance there.
  """

  weight_variance: float
  bias_variance: float
  q: float

  @property
  def gain(self) -> float:
    """sqrt(sw2), which multiplies weights of variance 1 / n_in."""
    return self.weight_variance**0.5


def variance_map(
  activation: functions.Named,
  q: float | base.ArrayLike,
  weight_variance: float,
  bias_variance: float,
) -> np.ndarray:
  """V(q) = sw2 E f(sqrt(q) z)^2 + sb2 (Poole et al., 2016, eq. 3).

  Args:
    activation: f, or its name.
    q: `[...]` variances.
    weight_variance: sw2.
    bias_variance: sb2.

  Returns:
    `[...]`, off by less than 1e-8 of itself, see `activations.moments`.

  Examples:
    >>> float(variance_map('relu', 3.0, 2.0, 0.5).round(12))
    3.5
  """
  _refuse_negative(weight_variance, bias_variance)
  _, second, _ = activations.moments(
    activations.resolve(activation), np.asarray(q, float)
  )
  return weight_variance * second + bias_variance


def correlation_map(
  activation: functions.Named,
  c: float | base.ArrayLike,
  q: float | base.ArrayLike,
  weight_variance: float,
  bias_variance: float,
) -> tuple[np.ndarray, np.ndarray]:
  """C(q, c) / V(q): the correlation after a layer (Poole et al., 2016, eq. 5).

  Args:
    activation: f, or its name.
    c: `[...]` correlations of two examples, from -1 to 1.
    q: `[...]` variance of both examples' pre-activations.
    weight_variance: sw2.
    bias_variance: sb2.

  Returns:
    The correlation `[...]`, and the error of the quadrature of it: how much two
    rules differ. 1 - c' keeps its relative accuracy as c tends to 1.

  Raises:
    UserError: a correlation outside -1 to 1, or a negative variance.

  Examples:
    The arc-cosine kernel of the ReLU: 1 / pi of unrelated examples.

    >>> found, error = correlation_map('relu', 0.0, 1.0, 2.0, 0.0)
    >>> abs(float(found) - 1 / np.pi) < 1e-12, float(error) < 1e-12
    (True, True)
  """
  _refuse_negative(weight_variance, bias_variance)
  pair = pair_averages(activation, q, c)
  scale = weight_variance / (weight_variance * pair.square + bias_variance)
  return 1 - scale * pair.distance, scale * pair.error


def propagate(
  activation: functions.Named,
  q: float,
  c: float,
  depth: int,
  weight_variance: float,
  bias_variance: float,
) -> Path:
  """Two examples of variance q and correlation c through `depth` layers.

  Iterates `variance_map` and `correlation_map` (Poole et al., 2016, fig. 1-2).
  """
  setting = (weight_variance, bias_variance)
  path = [(float(q), float(c))]
  for _ in range(depth):
    q, c = path[-1]
    after, _ = correlation_map(activation, c, q, *setting)
    after_q = variance_map(activation, q, *setting)
    path.append((float(after_q), float(np.clip(after, -1.0, 1.0))))
  return Path(*np.array(path).T)


def fixed_point(
  activation: functions.Named,
  weight_variance: float | base.ArrayLike,
  bias_variance: float | base.ArrayLike,
) -> FixedPoint:
  """Where the variance and the correlation end, for many settings at once.

  q* is the limit of V from q = 1, that is of an input of unit variance; an
  activation may have other fixed points, which others inputs tend to. c* is 1
  in the ordered phase. In the chaotic one it is the fixed point below 1, which
  solves

      sum_m a_m^2 (1 - c^m) / (1 - c) = q* / sw2,

  a_m being the Hermite coefficients of z -> f(sqrt(q*) z). If q* is infinite,
  what else there is belongs to the largest variance of the table, 1e8.

  Args:
    activation: f, or its name.
    weight_variance: `[...]` sw2.
    bias_variance: `[...]` sb2.

  Returns:
    The fixed points, `[...]`, with their error.

  Raises:
    UserError: a variance that is negative or no number.

  Examples:
    >>> point = fixed_point('tanh', 1.0, 0.05)
    >>> round(float(point.q), 6), round(float(point.xi_c), 3)
    (0.193593, 3.627)
  """
  _refuse_negative(weight_variance, bias_variance)
  f = activations.resolve(activation)
  sw2, sb2 = np.broadcast_arrays(
    np.asarray(weight_variance, float), np.asarray(bias_variance, float)
  )
  parts = [
    fixed_points.solve(
      f, *(each.ravel()[start : start + _CHUNK] for each in (sw2, sb2))
    )
    for start in range(0, sw2.size, _CHUNK)
  ]
  return FixedPoint(
    *(
      np.concatenate(each).reshape(sw2.shape)
      for each in zip(*parts, strict=True)
    )
  )


def phase_diagram(
  activation: functions.Named,
  weight_variances: Sequence[float] | np.ndarray,
  bias_variances: Sequence[float] | np.ndarray,
) -> FixedPoint:
  """The fixed points on a grid, `[M, N]` for N values of sw2 and M of sb2.

  chi_1 < 1 is the ordered phase, chi_1 > 1 the chaotic one (Schoenholz et al.,
  2017, fig. 1). 40,000 settings take about two seconds on two cores.
  """
  return fixed_point(activation, *np.meshgrid(weight_variances, bias_variances))


def critical_point(activation: functions.Named, q: float) -> Critical:
  """The critical setting whose fixed point is q: chi_1 = 1 and V(q) = q.

      sw2 = 1 / E f'(sqrt(q) z)^2,      sb2 = q - sw2 E f(sqrt(q) z)^2

  (Pennington, Schoenholz & Ganguli, Resurrecting the sigmoid, 2017). Off by
  less than 1e-8 of sw2 and of q.

  Raises:
    UserError: q is not positive, or no variance of biases makes q a fixed
      point, since it would be negative.

  Examples:
    >>> point = critical_point('tanh', 0.5)
    >>> round(point.weight_variance, 6), round(point.bias_variance, 7)
    (1.687975, 0.0380412)
  """
  if not (isinstance(q, (int, float)) and 0 < q < np.inf):
    raise base.UserError(f'q must be a positive number, not {q!r}')
  f = activations.resolve(activation)
  _, second, slope = (
    float(each) for each in activations.moments(f, np.asarray(q, float))
  )
  if not 0 < slope < np.inf:
    raise base.UserError(
      f"{_name(activation)} has no critical weights: E f'^2 = {slope:g}"
    )
  weight_variance, bias_variance = 1 / slope, q - second / slope
  if bias_variance < -1e-8 * q:
    raise base.UserError(
      f'{_name(activation)} has no critical weights with q = {q:g}: the '
      f'variance of the biases would be {bias_variance:.3g}'
    )
  return Critical(weight_variance, max(bias_variance, 0.0), q)


def critical_line(
  activation: functions.Named, bias_variance: float
) -> Critical:
  """The critical setting with these biases: chi_1 = 1.

  Of several, the one with the largest fixed point that a signal of variance 1
  tends to. Off by less than 1e-7 of sw2.

  Raises:
    UserError: there is none, as for the ReLU with any bias; or a signal leaves
      it, as that of the GELU without biases.

  Examples:
    >>> point = critical_line('tanh', 0.05)
    >>> round(point.weight_variance, 6), round(point.q, 6)
    (1.760955, 0.570048)
  """
  _refuse_negative(0.0, bias_variance)
  f = activations.resolve(activation)
  table = fixed_points.tabulated(f)
  excess = lambda log_q: (
    np.exp(log_q) - table.second(log_q) / table.slope(log_q) - bias_variance
  )
  at = excess(table.log_q)
  level = np.abs(at) <= 1e-8 * np.exp(table.log_q)
  apart = ~(level[1:] | level[:-1])
  changes = np.flatnonzero(((at[1:] >= 0) != (at[:-1] >= 0)) & apart)
  points = [_crossing(excess, *table.log_q[i : i + 2]) for i in changes[::-1]]
  if level.all():  # as of the ReLU without biases
    points.append(0.0)
  elif level[0]:  # the limit of small variances, as of tanh without biases
    points.append(table.log_q[0])
  for log_q in points:
    weight_variance = 1 / float(table.slope(log_q))
    end = fixed_point(f, weight_variance, bias_variance)
    if abs(float(end.chi_1) - 1) < _NEAR:
      q = float(np.exp(log_q)) if log_q > table.log_q[0] else 0.0
      return Critical(weight_variance, float(bias_variance), q)
  why = 'the signal leaves its fixed point' if points else 'chi_1 = 1 nowhere'
  raise base.UserError(
    f'{_name(activation)} has no critical weights if the biases have the '
    f'variance {bias_variance:g}: {why}'
  )


def _crossing(
  excess: Callable[[float], float], low: float, high: float
) -> float:
  """Where a function changes its sign."""
  rising = excess(high) > excess(low)
  for _ in range(60):
    middle = (low + high) / 2
    below = (excess(middle) < 0) == rising
    low, high = (middle, high) if below else (low, middle)
  return low


def critical_gain(
  activation: functions.Named, bias_variance: float = 0.0
) -> float:
  """sqrt(sw2) of `critical_line`: the gain at which gradients keep their size.

  It is for schemes with Var[w] = gain^2 / n_in, such as `lecun_normal`; for
  others only of square layers.

  Examples:
    >>> round(critical_gain('relu') ** 2, 6), round(critical_gain('tanh'), 6)
    (2.0, 1.0)
  """
  return critical_line(activation, bias_variance).gain


# Averages over one and over two examples, by quadrature in pieces.


def nodes(
  activation: functions.Named, q: float, count: int = 12
) -> tuple[np.ndarray, np.ndarray]:
  """Nodes s and weights `[N]` of averages over s ~ N(0, q), split at kinks.

  Args:
    activation: f, or its name, whose kinks these are.
    q: the variance.
    count: of nodes in each of 24 pieces between two kinks.
  """
  deviation = float(q) ** 0.5
  kinks = quadrature.kinks(activations.resolve(activation))
  z, weights = quadrature.rule(kinks, np.array(0.0), deviation, count)
  return deviation * z, weights


class Pair(NamedTuple):
  """Averages over u_1, u_2 of variance q and correlation c, `[...]` each.

  square: E f(u)^2.
  product: E f(u_1) f(u_2).
  distance: E (f(u_1) - f(u_2))^2 / 2, without cancellation as c tends to 1.
  slope: E f'(u_1) f'(u_2).
  error: of product and distance, the difference of two rules.
  """

  square: np.ndarray
  product: np.ndarray
  distance: np.ndarray
  slope: np.ndarray
  error: np.ndarray


def pair_averages(
  activation: functions.Named,
  q: float | base.ArrayLike,
  c: float | base.ArrayLike,
) -> Pair:
  """E f(u_1) f(u_2) and its kin, with kinks of f treated exactly.

  With z, z_1 and z_2 independent and u_i = sqrt(q) (sqrt(c) z + sqrt(1 - c)
  z_i), the product is E_z g(z)^2 and the distance E_z Var[f | z], where g(z) is
  E[f | z]. Negative correlations have u_2 = sqrt(q) (-sqrt(-c) z + ...). The
  integrals over z and over z_i are both split where u_i meets a kink.
  """
  f = activations.resolve(activation)
  q, c = np.broadcast_arrays(np.asarray(q, float), np.asarray(c, float))
  if not (np.all(np.abs(c) <= 1) and np.all(q >= 0)):
    raise base.UserError(
      'a correlation is between -1 and 1, and a variance not negative'
    )
  found = [
    np.stack(
      [_pair(f, *each, count) for each in zip(q.flat, c.flat, strict=True)]
    )
    for count in (12, 16)
  ]
  error = np.abs(found[1] - found[0])[:, 1:3].max(axis=1)
  columns = (*found[1].T, error)
  return Pair(*(column.reshape(q.shape) for column in columns))


def _pair(
  f: base.Activation, q: float, c: float, count: int
) -> tuple[float, ...]:
  """square, product, distance and slope, with `count` nodes in each piece."""
  common, own = np.sqrt(q * abs(c)), np.sqrt(q * (1 - abs(c)))
  kinks = quadrature.kinks(f)
  z, weights = quadrature.rule(kinks, np.array(0.0), common, count)

  def given(mean: np.ndarray) -> tuple[np.ndarray, ...]:
    inner, weight = quadrature.rule(kinks, mean, own, count)
    values, slopes = activations.evaluate(f, mean[:, None] + own * inner)
    average = lambda each: np.sum(weight * each, axis=-1)
    first = average(values)
    spread = average((values - first[:, None]) ** 2)
    return first, average(slopes), average(values**2), spread

  first, slope, square, spread = given(common * z)
  total = lambda each: float(np.sum(weights * each))
  if c >= 0:
    product, slope = total(first**2), total(slope**2)
    return total(square), product, total(spread), slope
  other, other_slope, _, _ = given(-common * z)
  product = total(first * other)
  return (
    total(square),
    product,
    total(square) - product,
    total(slope * other_slope),
  )


def _depth(factor: np.ndarray) -> np.ndarray:
  with np.errstate(divide='ignore'):
    return np.where(
      np.abs(factor - 1) < fixed_points.LEVEL,
      np.inf,
      -1 / np.log(np.abs(factor)),
    )


def _name(activation: functions.Named) -> str:
  return (
    activation if isinstance(activation, str) else functions.label(activation)
  )


def _refuse_negative(
  weight_variance: float | base.ArrayLike,
  bias_variance: float | base.ArrayLike,
) -> None:
  for what, value in (
    ('weight_variance', weight_variance),
    ('bias_variance', bias_variance),
  ):
    value = np.asarray(value, float)
    if not (np.all(value >= 0) and np.all(np.isfinite(value))):
      raise base.UserError(f'{what} must be finite and not negative')
