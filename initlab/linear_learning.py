"""How deep linear networks learn: Saxe's exact curves.

With whitened inputs, gradient descent of rate 1 / tau and initial weights whose
singular vectors are those of the input-output correlation matrix, each of its
modes is learned by itself. Of a mode of strength s, let u be the product of the
network's L singular values, all equal at the start. Then

    tau du/dt = L u^(2 - 2/L) (s - u),

which has a closed form for L = 2 and L -> infinity and is one integral for any
other. L counts the weight matrices: it is N_l - 1 of the paper, whose N_l is
that of the layers of units.

References:
  Saxe, McClelland & Ganguli, Exact solutions to the nonlinear dynamics of
  learning in deep linear neural networks, 2014, sections 1.1 and 2.
  https://arxiv.org/abs/1312.6120
"""

import numpy as np

from initlab import base


def strength(
  t: base.ArrayLike | float,
  target: base.ArrayLike | float,
  start: base.ArrayLike | float,
  tau: float = 1.0,
) -> np.ndarray:
  """u(t) of two layers: s e^(2st/tau) / (e^(2st/tau) - 1 + s/u_0) (eq. 12).

  Args:
    t: `[...]` times, in steps if tau = 1 / learning rate.
    target: `[...]` s, of the mode.
    start: `[...]` u_0, positive.
    tau: time constant.

  Returns:
    `[...]`.

  Examples:
    >>> round(float(strength(5.750937, 1.0, 0.001)), 6)
    0.99
  """
  t, target, start = (np.asarray(each, float) for each in (t, target, start))
  if not (np.all(start > 0) and np.all(target > 0)):
    raise base.UserError('the strengths of a mode are positive')
  # Divided by the exponential, which overflows.
  decay = np.exp(-2 * target * t / tau)
  return target / (1 + decay * (target / start - 1))


def time_to_reach(
  reached: float,
  target: float,
  start: float,
  depth: int = 2,
  tau: float = 1.0,
) -> float:
  """When a mode reaches u_f from u_0: of L = `depth` weight matrices.

      t = (tau / L) int_{u_0}^{u_f} du / (u^(2 - 2/L) (s - u))      (eq. 15),

  which is (tau / 2s) ln(u_f (s - u_0) / (u_0 (s - u_f))) for L = 2 (eq. 11).

  Args:
    reached, target, start: u_f, s and u_0, 0 < u_0 < u_f < s.
    depth: L, at least 1.
    tau: time constant, the inverse of the learning rate.

  Returns:
    The time, to 1e-9 of itself.

  Examples:
    >>> round(time_to_reach(0.99, 1.0, 0.001), 6)
    5.750937
  """
  from scipy import integrate

  _check(np.asarray(target), np.asarray(start), np.asarray(reached))
  if depth < 1:
    raise base.UserError(f'depth must be at least 1, not {depth}')
  # In v = ln u: du / u^(2 - 2/L) = u^(2/L - 1) dv.
  power = 2 / depth - 1
  found, _ = integrate.quad(
    lambda v: np.exp(power * v) / (target - np.exp(v)),
    np.log(start),
    np.log(reached),
    epsabs=0,
    epsrel=1e-11,
    limit=200,
  )
  return tau / depth * found


def time_to_reach_deep(
  reached: float,
  target: float,
  start: float,
  depth: int,
  tau: float = 1.0,
) -> float:
  """`time_to_reach` as L -> infinity (eq. 16-17):

      t = (tau / L) (ln(u_f (s - u_0) / (u_0 (s - u_f))) / s^2
                     + 1 / (s u_0) - 1 / (s u_f)).

  With the optimal rate, of the order 1 / L, it does not depend on L.

  Examples:
    >>> round(time_to_reach_deep(0.99, 1.0, 0.5, 100), 4)
    0.0559
  """
  _check(np.asarray(target), np.asarray(start), np.asarray(reached))
  odds = reached * (target - start) / (start * (target - reached))
  terms = np.log(odds) / target**2 + 1 / (target * start)
  return float(tau / depth * (terms - 1 / (target * reached)))


def balance(first: base.ArrayLike, second: base.ArrayLike) -> np.ndarray:
  """a_i^2 - a_j^2 of two layers' singular values, which learning conserves.

  Saxe et al., 2014, section 1.1, below eq. 10: on hyperbolas.
  """
  return np.asarray(first, float) ** 2 - np.asarray(second, float) ** 2


def _check(target: np.ndarray, start: np.ndarray, reached: np.ndarray) -> None:
  if not (np.all(start > 0) and np.all(start <= reached)):
    raise base.UserError('a mode starts above 0, and below what it reaches')
  if not np.all(reached < target):
    raise base.UserError('a mode never reaches its target')
