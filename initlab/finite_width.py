"""Lengths of signals in deep networks of a finite width: log-normal laws.

In a network of positively homogeneous activations, f(s) = a s for s > 0 and b s
below (the ReLU, its leaky kin, the identity), without biases and with normal
weights, each layer multiplies the length of the signal by a random number that
does not depend on the layers below. So the logarithm of the length is a random
walk over depth, and the length tends to a log-normal variable. What follows is
exact unless it says otherwise.

References:
  Hanin & Nica, Products of many large random matrices and gradients in deep
  neural networks, 2019, theorem 1. https://arxiv.org/abs/1812.05994
  Hanin & Rolnick, How to start training: the effect of initialization and
  architecture, 2018, theorem 5. https://arxiv.org/abs/1803.01719
  Sussillo & Abbott, Random walk initialization for training very deep
  feedforward networks, 2014. https://arxiv.org/abs/1412.6558
  Jakub & Nica, Depth degeneracy in neural networks: vanishing angles in fully
  connected ReLU networks on initialization, 2023.
  https://arxiv.org/abs/2302.09712
"""

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np

from initlab import activations, base, functions


class LogNormal(NamedTuple):
  """A variable whose logarithm has this mean and variance, nearly normal."""

  mean: float
  variance: float


class Walk(NamedTuple):
  """ln |h_l|^2 - ln |h_{l-1}|^2: its mean and its variance a layer."""

  drift: float
  variance: float


def log_normal(
  widths: Sequence[int],
  active: float = 0.5,
  kurtosis: float = 3.0,
  concentration: float = 0.0,
) -> LogNormal:
  """ln of (n_0 / n_L) |J u|^2, for a unit vector u and critical weights.

  Normal with mean -b / 2 and variance b,

      b = (3 / p - 1) sum_l 1 / n_l + (mu_4 - 3) / (p n_1) |u|_4^4,

  to order 1 / n (Hanin & Nica, 2019, theorem 1), with Var[w] = 1 / (p n_in).
  The fourth moment enters by the first layer alone: further up, |u|_4^4 is of
  the order 1 / n itself.

  Args:
    widths: n_1, ..., n_L, of the layers that are followed by an activation.
    active: p, the probability that a unit is active: 1/2 for the ReLU, 1 for a
      linear network.
    kurtosis: mu_4 = E w^4 / (E w^2)^2: 3 of normal, 1.8 of uniform weights.
    concentration: |u|_4^4: 1 of a unit vector along an axis, about 3 / n_0 of a
      random one.

  Returns:
    Mean and variance.

  Examples:
    20 ReLU layers of 100 units, of normal weights: b = 5 sum 1 / n_l.

    >>> round(log_normal([100] * 20).variance, 9)
    1.0
  """
  n = _widths(widths)
  if not 0 < active <= 1:
    raise base.UserError(f'active is a probability, not {active}')
  b = (3 / active - 1) * float(np.sum(1 / n))
  b += (kurtosis - 3) / (active * float(n[0])) * concentration
  return LogNormal(-b / 2, b)


def fourth_moment_ratio(
  widths: Sequence[int], activation: functions.Named = 'relu'
) -> float:
  """E |h|^4 / (E |h|^2)^2 of the last layer, of a fixed input.

      prod_l (1 + (k - 1) / n_l),     k = E f(z)^4 / (E f(z)^2)^2,

  which is prod (1 + 5 / n_l) for the ReLU and prod (1 + 2 / n_l) for a linear
  network (Hanin & Rolnick, 2018, theorem 5, where it is bounded).

  Args:
    widths: n_1, ..., n_L.
    activation: a positively homogeneous f, or its name.

  Examples:
    >>> round(fourth_moment_ratio([100] * 20), 3)
    2.653
  """
  up, down = _slopes(activation)
  k = 6 * (up**4 + down**4) / (up**2 + down**2) ** 2
  return float(np.prod(1 + (k - 1) / _widths(widths)))


def walk(
  width: int, activation: functions.Named = 'relu', gain: float = 1.0
) -> Walk:
  """The step of ln |h|^2 in a layer of n units, with Var[w] = gain^2 / n_in.

  Of a linear layer |h_l|^2 / |h_{l-1}|^2 is gain^2 chi^2_n / n, so the step has

      drift = psi(n / 2) + ln(2 gain^2 / n),      variance = psi'(n / 2).

  Of a ReLU layer K ~ Binomial(n, 1/2) of its units are active, and n / 2 gives
  way to K / 2 in the digamma functions: the mean of psi, and the mean of psi'
  with the variance of psi; given that K > 0, where a signal is left at all. The
  n in the logarithm stays. It is all for n_in = n; a layer between unequal
  widths has n = n_out if Var[w] = gain^2 / n_in and |h|^2 is divided by n.

  The notes of Sussillo & Abbott say 1 / (2 N) for the linear variance, which is
  2 / N to first order.

  References:
    Sussillo & Abbott, 2014, section 2, where <ln z> is fitted by
    -ln 2 - 2.4 / (max(N, 6) - 2.4) and its variance by 5 / (max(N, 6) - 4).

  Examples:
    >>> step = walk(100)
    >>> round(step.drift, 6), round(step.variance, 5)
    (-0.718568, 0.05194)
  """
  from scipy import special

  (n,) = _widths([width])
  up, down = _slopes(activation)
  if up == down:
    active, share = np.array([float(n)]), np.ones(1)
  elif down == 0:
    active = np.arange(1.0, n + 1)
    log_share = (
      special.gammaln(n + 1)
      - special.gammaln(active + 1)
      - special.gammaln(n - active + 1)
    )
    share = np.exp(log_share - log_share.max())
    share /= share.sum()
  else:
    raise base.UserError(
      'the walk is known of linear and of ReLU layers, whose slope below zero '
      'is that above, or zero'
    )
  level = special.digamma(active / 2)
  mean = float(np.sum(share * level))
  variance = np.sum(share * (level - mean) ** 2)
  variance += np.sum(share * special.polygamma(1, active / 2))
  return Walk(mean + math.log(2 * gain**2 * up**2 / n), float(variance))


def unbiased_gain(width: int, activation: functions.Named = 'relu') -> float:
  """The gain of Var[w] = gain^2 / n at which ln |h|^2 has no drift.

  exp(-drift / 2) of `walk`, exactly. Sussillo & Abbott fit exp(1 / (2 N)) for
  linear and sqrt(2) exp(1.2 / (max(N, 6) - 2.4)) for ReLU layers, which leave a
  drift of -1 / (3 N^2) and, from N = 100 on, of -0.08 / N to -0.1 / N a layer.

  Examples:
    >>> round(unbiased_gain(100), 6), round(unbiased_gain(1000), 6)
    (1.432304, 1.415985)
  """
  return math.exp(-walk(width, activation).drift / 2)


def angle(theta: float, width: int) -> float:
  """E ln sin^2 of the angle after a ReLU layer of n units, from `theta` before.

      ln sin^2 theta' = ln sin^2 theta - 2 theta / (3 pi) - rho(n),
      rho(n) = ln((n + 5) / (n - 1)) - 10 n / (n + 5)^2 + 6 n / (n - 1)^2,

  for small angles. rho is about 2 / n, so examples become alike exponentially,
  where an infinitely wide network has 1 - c_l = 9 pi^2 / (2 l^2). The variance
  of the logarithm is about 8 / n (Jakub & Nica, 2023, theorem 1). What is left
  out is of the order 1 / n^2: simulation finds ln sin^2 larger by 76 / n^2.

  Args:
    theta: in radians, up to some 0.5.
    width: n of the layer, at least 2.
  """
  (n,) = _widths([width])
  if n < 2 or not 0 < theta <= np.pi:
    raise base.UserError('an angle is in (0, pi], and a width at least 2')
  rho = math.log((n + 5) / (n - 1)) - 10 * n / (n + 5) ** 2
  rho += 6 * n / (n - 1) ** 2
  return math.log(math.sin(theta) ** 2) - 2 * theta / (3 * math.pi) - rho


def _slopes(activation: functions.Named) -> tuple[float, float]:
  f = activations.resolve(activation)
  slopes = activations.homogeneous_slopes(f)
  if slopes is None:
    raise base.UserError(
      f'{functions.label(f)} is not positively homogeneous, as the ReLU is'
    )
  return slopes


def _widths(widths: Sequence[int]) -> np.ndarray:
  found = np.asarray(widths, float)
  if not found.size or found.min() < 1:
    raise base.UserError(f'widths are at least 1, not {tuple(widths)}')
  return found
