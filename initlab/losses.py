"""Loss functions, and their averages over random logits."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
import optax

from initlab import base

# Beyond this standard deviation sigma of the logits a softmax is nearly
# one-hot, and its moments follow their first-order expansion in 1 / sigma.
_ONE_HOT = 12.0

_DRAWS = 1000  # draws of a batch's logits for averages over pairs of examples


class Loss(NamedTuple):
  """A loss of one example, and its averages over random logits.

  per_example: `(logits [K], label []) -> []`.
  expected: `(variance [...], mean, K) -> [...]`, E C for K logits that are
    independent N(mean, variance), whatever the label.
  gradient_square: likewise `(1/K) E |dC/ds|^2`, of one logit's gradient.
  gradient_mean: `(mean, K) -> float`, (1/K) E sum_k dC/ds_k.
  gradient_distance: `(covariance [B, B], label [B], K) -> [B, B]`,
    (1/K) E |dC/ds_x - dC/ds_y|^2 of two examples x and y, whose logits have
    this covariance, each of the K independently.
  unit: of the loss.
  """

  per_example: Callable[[base.Array, base.Array], base.Array]
  expected: Callable[[np.ndarray, float, int], np.ndarray]
  gradient_square: Callable[[np.ndarray, float, int], np.ndarray]
  gradient_mean: Callable[[float, int], float]
  gradient_distance: Callable[[np.ndarray, np.ndarray, int], np.ndarray]
  unit: str


def cross_entropy(logits: base.Array, label: base.Array) -> base.Array:
  """C = -log softmax(s)_y, in nats.

  References:
    Glorot & Bengio, 2010, section 2.3: -log P(y|x).
  """
  return optax.softmax_cross_entropy_with_integer_labels(logits, label)


def prior_entropy(labels: base.ArrayLike) -> float:
  """H of the shares of the labels, in nats, sum of -p_k log p_k.

  It is the least mean cross entropy of an answer that is the same for all
  examples.

  Args:
    labels: `[N]` integers from 0.
  """
  counts = np.bincount(np.asarray(labels))
  shares = counts[counts > 0] / counts.sum()
  return -float(np.sum(shares * np.log(shares)))


def squared_error(logits: base.Array, label: base.Array) -> base.Array:
  """C = |s - e_y|^2 / 2 against the one-hot label e_y.

  References:
    Glorot & Bengio, 2010, section 4.1, the quadratic cost of figure 5.
  """
  return 0.5 * ((logits - jax.nn.one_hot(label, logits.shape[-1])) ** 2).sum()


def expected_cross_entropy(
  variance: np.ndarray, mean: float, size: int
) -> np.ndarray:
  """E log sum_k exp(s_k) - E s_y for s_k independent N(mean, variance).

  With S = sum_k exp(s_k), Frullani's integral gives
  E log S = int_0^inf (exp(-t) - E exp(-t S)) dt / t, one integral of one-
  dimensional Gaussian averages. The mean cancels. For a standard deviation
  sigma above 12 it is sigma E max_k z_k, z_k independent N(0, 1), plus a term
  of order 1 / sigma.
  """
  del mean
  largest = _expected_largest(size)

  def beyond(value, deviation):
    excess = (value - largest * _ONE_HOT) * _ONE_HOT / deviation
    return largest * deviation + excess

  def integrand(t, s, weights):
    laplace = weights @ np.exp(-np.outer(np.exp(s), t))
    return np.exp(-t) - laplace**size

  return _softmax_average(integrand, beyond, variance)


def cross_entropy_gradient_square(
  variance: np.ndarray, mean: float, size: int
) -> np.ndarray:
  """(1/K) E |p - e_y|^2 = E p_1^2 + (1 - 2/K) / K, p = softmax(s).

  For s_k independent N(mean, variance), E p_y = 1/K by symmetry, and with
  1/S^2 = int_0^inf t exp(-t S) dt,
  E p_1^2 = int_0^inf t E[exp(2 s - t e^s)] (E exp(-t e^s))^(K-1) dt.
  """
  del mean

  def beyond(value, deviation):
    return 1 / size - (1 / size - value) * _ONE_HOT / deviation

  def integrand(t, s, weights):
    damped = np.exp(-np.outer(np.exp(s), t))
    tilted = (weights * np.exp(2 * s)) @ damped
    return t**2 * tilted * (weights @ damped) ** (size - 1)

  second_moment = _softmax_average(integrand, beyond, variance)
  return second_moment + (1 - 2 / size) / size


def cross_entropy_gradient_distance(
  covariance: np.ndarray, label: np.ndarray, size: int
) -> np.ndarray:
  """(1/K) (E |p_x - p_y|^2 + 2 [y_x != y_y]), p = softmax(s).

  The mixed term is zero, since E p_k = 1/K for every k and example. The first
  term is an average over 1,000 fixed draws of the batch's logits, with a
  relative error of about 1%.
  """
  values, vectors = np.linalg.eigh(covariance)
  root = vectors * np.sqrt(np.maximum(values, 0.0))
  random = np.random.default_rng(0)
  p = np.empty((_DRAWS, size, len(label)))
  for draw in p:
    logits = random.standard_normal((size, len(label))) @ root.T
    powers = np.exp(logits - logits.max(axis=0))
    draw[:] = powers / powers.sum(axis=0)
  p = p.reshape(-1, len(label))
  return _pairs(p) / (_DRAWS * size) + 2 / size * _different(label)


def _pairs(columns: np.ndarray) -> np.ndarray:
  """The squared distances of all pairs of columns."""
  products = columns.T @ columns
  squares = np.diag(products)
  return np.maximum(squares[:, None] + squares[None, :] - 2 * products, 0.0)


def _different(label: np.ndarray) -> np.ndarray:
  return (label[:, None] != label[None, :]).astype(float)


def _expected_largest(size: int) -> float:
  """E of the maximum of `size` independent N(0, 1)."""
  from scipy import special

  z, step = np.linspace(-10, 10, 4001, retstep=True)
  density = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
  return float(
    step * np.sum(z * size * density * special.ndtr(z) ** (size - 1))
  )


def _softmax_average(
  integrand: Callable[..., np.ndarray],
  beyond: Callable[[float, float], float],
  variance: np.ndarray,
) -> np.ndarray:
  """The integral over log t of `integrand(t, s, weights)`, per variance."""

  def at(deviation: float) -> float:
    capped = min(deviation, _ONE_HOT)
    z, step_z = np.linspace(-10, 10, 65 + int(60 * capped), retstep=True)
    weights = step_z * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    ends = -10 * capped - 40, 10 * capped + 6
    log_t, step_t = np.linspace(*ends, 256 + int(80 * capped), retstep=True)
    value = step_t * integrand(np.exp(log_t), capped * z, weights).sum()
    return float(value if deviation <= _ONE_HOT else beyond(value, deviation))

  return np.vectorize(at, otypes=[float])(np.sqrt(variance))


LOSSES: dict[str, Loss] = {
  'cross_entropy': Loss(
    cross_entropy,
    expected_cross_entropy,
    cross_entropy_gradient_square,
    gradient_mean=lambda mean, size: 0.0,
    gradient_distance=cross_entropy_gradient_distance,
    unit='nats',
  ),
  'squared_error': Loss(
    squared_error,
    lambda variance, mean, size: (
      0.5 * (size * (variance + mean**2) + 1 - 2 * mean)
    ),
    lambda variance, mean, size: variance + mean**2 + (1 - 2 * mean) / size,
    gradient_mean=lambda mean, size: mean - 1 / size,
    gradient_distance=lambda covariance, label, size: (
      np.diag(covariance)[:, None]
      + np.diag(covariance)[None, :]
      - 2 * covariance
      + 2 / size * _different(label)
    ),
    unit='squared logits',
  ),
}
