"""Fixed points of the variance and correlation of a wide network.

The numerics of `meanfield`: averages of an activation are tabulated over the
logarithm of the variance, and both maps are solved by bisection, for many
settings at once.
"""

import functools
from typing import Any, NamedTuple

import numpy as np

from initlab import activations, base, functions, quadrature, roots

# The table of averages over log q: q = 1 is a node, and the ends are 7e-13 and
# 1e8. A variance below the table is taken for 0, one above it for infinity.
_STEP = 0.08
_FIRST, _LAST = -350, 230
_TERMS = 128  # of a Hermite expansion
LEVEL = 1e-9  # relative change that leaves a variance where it is


class Table(NamedTuple):
  """Splines over log q, and how far they are off, relative.

  log_q: the nodes.
  second, slope: of E f^2 and of E f'^2.
  growth: of d E f^2 / d log q.
  error: of second and slope.
  """

  log_q: np.ndarray
  second: Any
  slope: Any
  growth: Any
  error: float


@functools.cache
def tabulated(f: base.Activation) -> Table:
  """The averages of an activation, for all variances that have them.

  Raises:
    UserError: an average is zero or infinite at variance 1.
  """
  from scipy import interpolate

  log_q = _STEP * np.arange(_FIRST, _LAST + 1)
  deviation = np.exp(log_q / 2)
  rules = []
  for count in (16, 24):
    z, weights = quadrature.rule(
      quadrature.kinks(f), np.zeros_like(log_q), deviation, count
    )
    values, slopes = activations.evaluate(f, deviation[:, None] * z)
    with np.errstate(over='ignore', invalid='ignore'):
      rules.append(
        [np.sum(weights * each**2, axis=-1) for each in (values, slopes)]
      )
  coarse, fine = np.array(rules)
  with np.errstate(invalid='ignore', divide='ignore'):
    off = np.abs(fine / coarse - 1).max(axis=0)
  for index in np.flatnonzero(~(off < 1e-9)):
    _, *exact = activations.moments(f, np.exp(log_q[index]))
    fine[:, index] = exact
  finite = np.isfinite(fine).all(axis=0) & (fine > 0).all(axis=0)
  # The stretch around q = 1 that has all averages.
  gaps = np.flatnonzero(~finite)
  first = max(gaps[gaps < -_FIRST], default=-1) + 1
  last = min(gaps[gaps > -_FIRST], default=len(log_q))
  if not finite[-_FIRST] or last - first < 16:
    raise base.UserError(
      f"{functions.label(f)} has no mean field: E f^2 or E f'^2 is zero or "
      'infinite at variance 1'
    )
  kept = slice(first, last)
  spline = functools.partial(interpolate.make_interp_spline, k=5)
  second, slope = (spline(log_q[kept], each[kept]) for each in fine)
  errors = []
  for each in fine:
    # With half of the nodes the error is 2^6 times as large.
    half = spline(log_q[kept][::2], each[kept][::2])
    inner = slice(4, -4)
    between = log_q[kept][1::2][inner]
    errors.append(
      np.abs(half(between) / each[kept][1::2][inner] - 1).max() / 64
    )
  return Table(
    log_q[kept], second, slope, second.derivative(), max(*errors, 1e-9)
  )


@functools.cache
def _terms(f: base.Activation) -> Any:
  """A spline of a_m^2, `[_TERMS]` at each log q."""
  from scipy import interpolate

  log_q = tabulated(f).log_q
  deviation = np.exp(log_q / 2)
  z, weights = quadrature.rule(
    quadrature.kinks(f), np.zeros_like(log_q), deviation, 24
  )
  values, _ = activations.evaluate(f, deviation[:, None] * z)
  return interpolate.make_interp_spline(log_q, _squares(z, weights * values), 5)


def _squares(z: np.ndarray, weighted: np.ndarray) -> np.ndarray:
  """a_m^2 of the normalized Hermite polynomials, `[T, _TERMS]`.

  h_{m+1} = (z h_m - sqrt(m) h_{m-1}) / sqrt(m + 1).
  """
  if (z == z[0]).all():
    z = z[:1]
  below, here = np.zeros_like(z), np.ones_like(z)
  found = []
  for m in range(_TERMS):
    both = (weighted, np.broadcast_to(here, weighted.shape))
    found.append(np.einsum('tn,tn->t', *both) ** 2)
    below, here = here, (z * here - np.sqrt(m) * below) / np.sqrt(m + 1)
  return np.stack(found, axis=1)


def solve(
  f: base.Activation, sw2: np.ndarray, sb2: np.ndarray
) -> tuple[np.ndarray, ...]:
  """The fields of a `meanfield.FixedPoint`, `[P]` each.

  Args:
    f: the activation.
    sw2, sb2: `[P]` variances of weights and biases.
  """
  table = tabulated(f)
  q, error = _fixed_variance(table, sw2, sb2)
  with np.errstate(divide='ignore'):
    log_q = np.clip(np.log(q), table.log_q[0], table.log_q[-1])
  chi_1 = sw2 * table.slope(log_q)
  chi_q = sw2 * table.growth(log_q) / np.exp(log_q)
  c, chi_c = np.ones_like(q), chi_1.copy()
  chaotic = (chi_1 > 1 + LEVEL) & (q > 0) & np.isfinite(q)
  if chaotic.any():
    c[chaotic], chi_c[chaotic], off = _fixed_correlation(
      f, log_q[chaotic], sw2[chaotic]
    )
    error[chaotic] = np.maximum(error[chaotic], off)
  return q, chi_1, chi_q, c, chi_c, error


def _fixed_variance(
  table: Table, sw2: np.ndarray, sb2: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """q* and its relative error, `[P]` each."""
  nodes = table.log_q
  start = int(np.argmin(np.abs(nodes)))
  rises = np.outer(sw2, table.second(nodes)) + sb2[:, None] - np.exp(nodes)
  level = np.abs(rises[:, start]) <= LEVEL
  up = rises[:, start] > 0
  above = rises[:, start:] <= 0
  below = rises[:, start::-1] >= 0
  end = np.where(up, above.argmax(1), -below.argmax(1))
  found = np.where(up, above.any(1), below.any(1))
  low = nodes[np.clip(start + end - up, 0, len(nodes) - 2)]
  fall = lambda log_q: np.exp(log_q) - (sw2 * table.second(log_q) + sb2)
  q = np.exp(roots.bisect(fall, low, low + _STEP))
  # An error of V moves q* by as much over 1 - dV/dq.
  log_q = np.log(q)
  flat = np.abs(1 - sw2 * table.growth(log_q) / q)
  with np.errstate(divide='ignore'):
    error = table.error * sw2 * table.second(log_q) / q / flat
  beyond = np.where(up, np.inf, 0.0)
  q = np.where(level, 1.0, np.where(found, q, beyond))
  return q, np.where(level | ~found, table.error, np.minimum(error, 1.0))


def _fixed_correlation(
  f: base.Activation, log_q: np.ndarray, sw2: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """c* < 1, the slope there, and the error of c*, `[P]` each.

  What 128 terms leave of E f^2 is one more term, of the order that also gives
  E f'^2 right. The terms that it stands for are of higher orders than 128, so
  where c^128 is nothing it is exact.
  """
  table, q = tabulated(f), np.exp(log_q)
  squares = _terms(f)(log_q).T
  orders = np.arange(_TERMS)[:, None]
  rest = np.maximum(table.second(log_q) - squares.sum(0), 0.0)
  weight = q * table.slope(log_q) - (orders * squares).sum(0)
  with np.errstate(divide='ignore', invalid='ignore'):
    order = np.where(rest > 0, weight / rest, 0.0)
  order = np.maximum(order, float(_TERMS))
  target = q / sw2

  def quotient(c: np.ndarray) -> np.ndarray:
    """sum_m a_m^2 (1 + c + ... + c^(m-1))."""
    total, power, lost = np.zeros_like(c), np.ones_like(c), np.zeros_like(c)
    for square in squares:
      total += square * lost
      lost += power
      power *= c
    return total + rest * (1 - c**order) / (1 - c)

  excess = lambda c: quotient(c) - target
  c = roots.bisect(excess, np.zeros_like(q), np.full_like(q, 1 - 1e-12), 45)
  slope = rest * order * c ** (order - 1)
  steep = (rest * (1 - c**order) / (1 - c) - slope) / (1 - c)
  power, lost = np.ones_like(c), np.zeros_like(c)
  for m in range(1, _TERMS):
    slope += m * squares[m] * power
    steep += squares[m] * lost
    lost += m * power
    power *= c
  # E f'^2 is right and 1 - c^m is concave in m, so the one term is too large,
  # and c* lies between c and 1.
  left = rest * c**_TERMS / (1 - c) + table.error * target
  return c, sw2 * slope / q, np.minimum(left / steep, 1 - c)
