"""Equations 1 to 17 of Glorot & Bengio 2010.

The network of the paper, whose layers count from 0:

    s^i = z^i W^i + b^i,   z^(i+1) = f(s^i),   z^0 = x,   W^i: n_i x n_(i+1).

It is linear if f(0) = 0 and f'(s) = 1 at all s that occur (eq. 4); then
variances multiply from layer to layer. Here W^d is the last matrix, so dC/ds^d
is the gradient of the cost at the output, and layer l of this package is the
paper's i = l - 1: every `[L]` array below starts with W^0 and s^0.

Variances are mean squares throughout: if means are not zero, the equations hold
only in that sense.

Two products and one symbol are misprinted in the paper and corrected here: see
`gradient_variance`, `weight_gradient_variance` and `equal_gradient_variance`.

References:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010, section 4.2.
"""

from collections.abc import Callable, Mapping, Sequence
import types
from typing import Any

import numpy as np

from initlab import activations, base


def standard_bound(n_in: int) -> float:
  """Eq. 1: the standard W is uniform on +-1 / sqrt(n_in).

  Its variance is 1 / (3 n_in), which makes eq. 15.
  """
  return n_in**-0.5


def backpropagated(
  w: base.Array, slope: base.Array, gradient: base.Array
) -> base.Array:
  """Eq. 2: dC/ds^i = f'(s^i) * (dC/ds^(i+1) W^(i+1)^T), exactly.

  Args:
    w: `[n_(i+1), n_(i+2)]`, W^(i+1).
    slope: `[B, n_(i+1)]`, f'(s^i).
    gradient: `[B, n_(i+2)]`, dC/ds^(i+1).

  Returns:
    `[B, n_(i+1)]`, dC/ds^i.
  """
  return slope * (gradient @ w.T)


def weight_gradient(z: base.Array, gradient: base.Array) -> base.Array:
  """Eq. 3: dC/dW^i = z^i dC/ds^i, an outer product, exactly.

  Args:
    z: `[B, n_i]`, z^i.
    gradient: `[B, n_(i+1)]`, dC/ds^i of each example's own cost.

  Returns:
    `[n_i, n_(i+1)]`, the sum over the examples.
  """
  return z.T @ gradient


def slope_square(
  activation: base.Activation, variance: np.ndarray
) -> np.ndarray:
  """Eq. 4 says 1: E f'(s)^2, for s ~ N(0, variance).

  tanh has 1 - 2 q + O(q^2) at variance q; the sigmoid at most 1/16.

  Args:
    activation: f.
    variance: `[...]` of s.
  """
  return activations.moments(activation, np.asarray(variance, float))[2]


def activation_variance(
  widths: Sequence[int], variances: Sequence[float], x: float
) -> np.ndarray:
  """Eq. 5: Var[z^i] = Var[x] prod_{i'=0}^{i-1} n_i' Var[W^i'].

  Args:
    widths: `n_0, ..., n_L`.
    variances: `L`, Var[W^0], ..., Var[W^d].
    x: Var[x].

  Returns:
    `[L]`, of z^1, ..., z^L.
  """
  return x * np.cumprod(forward_factors(widths, variances))


def gradient_variance(
  widths: Sequence[int], variances: Sequence[float], top: float
) -> np.ndarray:
  """Eq. 6: Var[dC/ds^i] = Var[dC/ds^d] prod_{i'=i+1}^d n_(i'+1) Var[W^i'].

  Printed with i' from i on. By eq. 2, W^i has no part in dC/ds^i: the first
  matrix on the way down to s^i is W^(i+1).

  Args:
    widths: `n_0, ..., n_L`.
    variances: `L`.
    top: Var[dC/ds^d].

  Returns:
    `[L]`, of dC/ds^0, ..., dC/ds^d.
  """
  above = np.append(backward_factors(widths, variances)[1:], 1.0)
  return top * np.cumprod(above[::-1])[::-1]


def weight_gradient_variance(
  widths: Sequence[int], variances: Sequence[float], x: float, top: float
) -> np.ndarray:
  """Eq. 7: Var[dC/dW^i] = Var[z^i] Var[dC/ds^i], by eq. 3, 5 and 6.

  Printed with the product of eq. 6 from i' = i to d - 1, where it runs from
  i + 1 to d.

  Args:
    widths: `n_0, ..., n_L`.
    variances: `L`.
    x: Var[x].
    top: Var[dC/ds^d].

  Returns:
    `[L]`, of dC/dW^0, ..., dC/dW^d, for the cost of one example.
  """
  below = np.append(x, activation_variance(widths, variances, x)[:-1])
  return below * gradient_variance(widths, variances, top)


def forward_factors(
  widths: Sequence[int], variances: Sequence[float]
) -> np.ndarray:
  """Eq. 8 sets to 1: Var[z^(i+1)] / Var[z^i] = n_i Var[W^i], `[L]`."""
  return np.asarray(widths[:-1], float) * np.asarray(variances, float)


def backward_factors(
  widths: Sequence[int], variances: Sequence[float]
) -> np.ndarray:
  """Eq. 9 sets to 1: Var[dC/ds^(i-1)] / Var[dC/ds^i] = n_(i+1) Var[W^i], `[L]`.

  For i = 0 it is the step from dC/ds^0 to dC/dx.
  """
  return np.asarray(widths[1:], float) * np.asarray(variances, float)


def forward_variance(n_in: int, n_out: int) -> float:
  """Eq. 10: n_i Var[W^i] = 1, so Var[W^i] = 1 / n_i."""
  del n_out
  return 1 / n_in


def backward_variance(n_in: int, n_out: int) -> float:
  """Eq. 11: n_(i+1) Var[W^i] = 1, so Var[W^i] = 1 / n_(i+1)."""
  del n_in
  return 1 / n_out


def compromise_variance(n_in: int, n_out: int) -> float:
  """Eq. 12: Var[W^i] = 2 / (n_i + n_(i+1)), the harmonic mean of 10 and 11.

  The factors of eq. 8 and 9 then have the mean 1, and are 1 where widths are
  equal.
  """
  return 2 / (n_in + n_out)


def equal_gradient_variance(
  factor: float, layers: int, top: float
) -> np.ndarray:
  """Eq. 13: Var[dC/ds^i] = (n Var[W])^(d-i) Var[dC/ds^d], widths equal.

  Printed with Var[x] in the place of Var[dC/ds^d].

  Args:
    factor: n Var[W], the same for all layers.
    layers: L = d + 1.
    top: Var[dC/ds^d].

  Returns:
    `[L]`.
  """
  return top * factor ** np.arange(layers - 1, -1, -1.0)


def equal_weight_gradient_variance(
  factor: float, layers: int, x: float, top: float
) -> np.ndarray:
  """Eq. 14: Var[dC/dW^i] = (n Var[W])^d Var[x] Var[dC/ds^d], for every i.

  Args:
    factor: n Var[W], the same for all layers.
    layers: L = d + 1.
    x: Var[x].
    top: Var[dC/ds^d].

  Returns:
    `[L]` equal numbers.
  """
  return np.full(layers, x * top * factor ** (layers - 1.0))


def standard_factor(n_in: int) -> float:
  """Eq. 15: n Var[W] = 1/3 of the standard W, whatever n is.

  The variance of a uniform on +-a is a^2 / 3.
  """
  return n_in * standard_bound(n_in) ** 2 / 3


def normalized_bound(n_in: int, n_out: int) -> float:
  """Eq. 16: the normalized W is uniform on +-sqrt(6 / (n_i + n_(i+1))).

  Its variance is that of eq. 12.
  """
  return (6 / (n_in + n_out)) ** 0.5


def layer_jacobian(w: base.Array, slope: base.Array) -> base.Array:
  """Eq. 17: J^i = dz^(i+1)/dz^i = diag(f'(s^i)) W^i^T.

  Args:
    w: `[n_i, n_(i+1)]`.
    slope: `[n_(i+1)]`, f'(s^i) of one example.

  Returns:
    `[n_(i+1), n_i]`; see `probes.mean_singular_value`.
  """
  return slope[:, None] * w.T


# Number of the paper -> what computes it.
EQUATIONS: Mapping[int, Callable[..., Any]] = types.MappingProxyType(
  {
    1: standard_bound,
    2: backpropagated,
    3: weight_gradient,
    4: slope_square,
    5: activation_variance,
    6: gradient_variance,
    7: weight_gradient_variance,
    8: forward_factors,
    9: backward_factors,
    10: forward_variance,
    11: backward_variance,
    12: compromise_variance,
    13: equal_gradient_variance,
    14: equal_weight_gradient_variance,
    15: standard_factor,
    16: normalized_bound,
    17: layer_jacobian,
  }
)
