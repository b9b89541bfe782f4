"""Saxe's curves against gradient descent, and against each other."""

import itertools

import numpy as np
import pytest

from initlab import base, linear_learning


def _descend(modes, start, depth, rate, steps):
  """Strengths `[steps, K]` of a linear network trained on whitened inputs.

  Full matrices of 6 units, in random orthogonal bases that fit together, as the
  theory asks of the initial weights.
  """
  random, n = np.random.default_rng(0), 6
  bases = [
    np.linalg.qr(random.normal(size=(n, n)))[0] for _ in range(depth + 1)
  ]
  diagonal = np.zeros(n)
  diagonal[: len(modes)] = modes
  correlation = bases[-1] @ np.diag(diagonal) @ bases[0].T
  weights = [
    start ** (1 / depth) * above @ below.T
    for below, above in itertools.pairwise(bases)
  ]
  found = []
  for _ in range(steps):
    below, above = [np.eye(n)], [np.eye(n)]
    for w in weights:
      below.append(w @ below[-1])
    for w in weights[::-1]:
      above.append(above[-1] @ w)
    product = below[-1]
    found.append(np.diag(bases[-1].T @ product @ bases[0])[: len(modes)])
    error = correlation - product
    weights = [
      w + rate * above[depth - 1 - i].T @ error @ below[i].T
      for i, w in enumerate(weights)
    ]
  return np.array(found)


def test_two_layers_learn_as_equation_12_says():
  """Euler steps of 1e-3 are off by the order of rate s, in time: 0.5% of u."""
  modes, rate, steps = (3.0, 2.0, 1.0), 1e-3, 3000
  found = _descend(modes, 0.01, 2, rate, steps)
  t = np.arange(steps)[:, None]
  expected = linear_learning.strength(t, np.array(modes), 0.01, 1 / rate)
  np.testing.assert_allclose(found, expected, atol=0.01)
  assert found[-1].min() > 0.8


@pytest.mark.parametrize('depth', [1, 3, 5])
def test_deep_networks_learn_in_the_time_of_equation_15(depth):
  """Steps until a mode is at 0.9 of 1: to 1%, for a rate of 0.002 / L."""
  rate = 0.002 / depth
  found = _descend((1.0,), 0.2, depth, rate, 6000)[:, 0]
  steps = int(np.argmax(found > 0.9))
  expected = linear_learning.time_to_reach(0.9, 1.0, 0.2, depth, 1 / rate)
  np.testing.assert_allclose(steps, expected, rtol=0.01)


def test_learning_time_is_flat_in_depth():
  """L t, which is the time at the rate 1 / L, of s = 1 and u_f = 0.99."""
  depths = (2, 3, 5, 10, 50, 100)
  near = (4.595, 4.884, 5.142, 5.355, 5.537, 5.561)
  far = (11.50, 32.32, 109.9, 320.8, 799.7, 898.7)
  for start, expected, tolerance in ((0.5, near, 2e-4), (0.001, far, 1e-3)):
    found = [
      depth * linear_learning.time_to_reach(0.99, 1.0, start, depth)
      for depth in depths
    ]
    np.testing.assert_allclose(found, expected, rtol=tolerance)


def test_infinite_depth_is_the_limit():
  """1/L in the exponent moves t by the order ln(u_0) 2 / L."""
  for start in (0.5, 0.1):
    depth = 100_000
    theirs = linear_learning.time_to_reach(0.9, 1.5, start, depth)
    found = linear_learning.time_to_reach_deep(0.9, 1.5, start, depth)
    np.testing.assert_allclose(found, theirs, rtol=1e-4)


def test_equations_11_and_12_are_inverse():
  t = linear_learning.time_to_reach(1.9, 2.0, 0.01, 2, 3.0)
  np.testing.assert_allclose(linear_learning.strength(t, 2.0, 0.01, 3.0), 1.9)
  odds = 1.9 * 1.99 / (0.01 * 0.1)
  np.testing.assert_allclose(t, 3.0 / 4.0 * np.log(odds))


def test_late_times_do_not_overflow():
  assert linear_learning.strength(1e6, 3.0, 1e-9) == 3.0


def test_learning_conserves_the_difference_of_squares():
  """Euler steps break it by the order of the rate."""
  a, b, rate = 0.5, 0.1, 1e-4
  before = linear_learning.balance(a, b)
  for _ in range(20_000):
    error = 1 - a * b
    a, b = a + rate * b * error, b + rate * a * error
  np.testing.assert_allclose(linear_learning.balance(a, b), before, atol=1e-4)


def test_refuses_what_cannot_be():
  with pytest.raises(base.UserError, match='never reaches'):
    linear_learning.time_to_reach(1.0, 1.0, 0.1)
  with pytest.raises(base.UserError, match='starts above 0'):
    linear_learning.time_to_reach_deep(0.5, 1.0, 0.6, 3)
  with pytest.raises(base.UserError, match='depth'):
    linear_learning.time_to_reach(0.5, 1.0, 0.1, 0)
  with pytest.raises(base.UserError, match='positive'):
    linear_learning.strength(1.0, 1.0, 0.0)
