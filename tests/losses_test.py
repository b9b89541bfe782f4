"""The costs, and their averages over random logits against simulation."""

import chex
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import losses

_DRAWS = 100_000


@pytest.mark.parametrize('name', losses.LOSSES)
@pytest.mark.parametrize('size', [2, 9])
@pytest.mark.parametrize('variance', [0.2, 9.0, 400.0, 90000.0])
def test_averages_over_random_logits(name, size, variance):
  """Within 5 standard errors; beyond one-hot, also the first-order rest.

  The expansion in 1/deviation that takes over at 12 leaves out terms of second
  order: at deviation 20 at most (12/20)^2 (1/12)^2 < 0.3% of the value.
  """
  loss = losses.LOSSES[name]
  logits = np.random.default_rng(0).normal(0, variance**0.5, (_DRAWS, size))
  if name == 'cross_entropy':
    total = np.logaddexp.reduce(logits, axis=-1)
    cost = total - logits[:, 0]
    residual = np.exp(logits - total[:, None])
  else:
    residual = logits.copy()
    cost = 0.5 * ((logits - np.eye(size)[0]) ** 2).sum(-1)
  square = ((residual - np.eye(size)[0]) ** 2).mean(-1)
  slack = 0.003 if variance > 144 and name == 'cross_entropy' else 0.0
  for drawn, exact in (
    (cost, loss.expected(np.asarray(variance), 0.0, size)),
    (square, loss.gradient_square(np.asarray(variance), 0.0, size)),
  ):
    error = drawn.std() / _DRAWS**0.5
    assert abs(drawn.mean() - exact) < 5 * error + slack * exact


@pytest.mark.parametrize('deviation', [20.0, 300.0])
def test_the_loss_of_large_logits_is_that_of_the_largest(deviation):
  """E log(1 + exp(d)) for two logits, d ~ N(0, 2 sigma^2).

  It is E max(d, 0) = sigma / sqrt(pi), and E log(1 + exp(-|d|)), which to first
  order in 1 / sigma is twice the density of d at 0 times pi^2 / 12. Terms of
  third order are below (12 / sigma)^3 / 12^3 of the whole.
  """
  found = losses.expected_cross_entropy(np.asarray(deviation**2), 0.0, 2)
  density = 1 / np.sqrt(4 * np.pi) / deviation
  expected = deviation / np.sqrt(np.pi) + 2 * density * np.pi**2 / 12
  np.testing.assert_allclose(found, expected, rtol=2e-4)


@pytest.mark.parametrize('mean', [0.0, 1.5])
@pytest.mark.parametrize('name', losses.LOSSES)
def test_gradients_of_pairs_of_examples(name, mean):
  """Mean, and mean squared distance, of simulated gradients.

  5 standard errors of 20,000 draws, and the percent of the first term of cross
  entropy that `losses` itself takes from 1,000.
  """
  size, draws = 4, 20_000
  covariance = np.array([[2.0, 1.5, 0.3], [1.5, 3.0, 0.0], [0.3, 0.0, 0.5]])
  label = np.array([1, 1, 2])
  logits = mean + np.random.default_rng(1).multivariate_normal(
    np.zeros(3), covariance, size=(draws, size)
  )
  logits = np.moveaxis(logits, 2, 0)
  if name == 'cross_entropy':
    powers = np.exp(logits)
    residual = powers / powers.sum(axis=-1, keepdims=True)
  else:
    residual = logits
  gradient = residual - np.eye(size)[label][:, None]
  loss = losses.LOSSES[name]
  error = gradient.mean(axis=(0, 2)).std() / draws**0.5
  expected = loss.gradient_mean(mean, size)
  assert abs(gradient.mean() - expected) < 5 * error + 1e-12
  apart = ((gradient[:, None] - gradient[None]) ** 2).mean(axis=-1)
  found = loss.gradient_distance(covariance, label, size)
  error = apart.std(axis=-1) / draws**0.5
  slack = 0.02 * (found - 2 / size * (label[:, None] != label))
  assert (np.abs(apart.mean(axis=-1) - found) <= 5 * error + slack).all()


def test_equal_logits_cost_the_log_of_the_classes():
  zero = np.zeros(())
  for size in (2, 9, 1000):
    loss = losses.LOSSES['cross_entropy']
    np.testing.assert_allclose(
      loss.expected(zero, 0.0, size), np.log(size), rtol=1e-9
    )
    square = ((1 - 1 / size) ** 2 + (size - 1) / size**2) / size
    np.testing.assert_allclose(
      loss.gradient_square(zero, 0.0, size), square, rtol=1e-9
    )


def test_a_common_mean_moves_squared_error_only():
  one = np.ones(())
  same = losses.expected_cross_entropy(one, 0.0, 5)
  assert losses.expected_cross_entropy(one, 3.0, 5) == same
  expected = losses.LOSSES['squared_error'].expected(one, 3.0, 5)
  np.testing.assert_allclose(expected, 0.5 * (5 * 10 + 1 - 6))


def test_values_by_hand():
  logits, label = jnp.array([1.0, 0.0, -1.0]), jnp.int32(2)
  cross = np.log(np.exp([1, 0, -1]).sum()) + 1
  chex.assert_trees_all_close(
    losses.cross_entropy(logits, label), np.float32(cross), rtol=1e-6
  )
  chex.assert_trees_all_close(
    losses.squared_error(logits, label), np.float32(2.5), rtol=1e-6
  )


def test_a_constant_answer_costs_the_entropy_of_the_classes():
  found = losses.prior_entropy(np.array([0, 2, 2, 2]))
  expected = 0.25 * np.log(4) + 0.75 * np.log(4 / 3)
  np.testing.assert_allclose(found, expected, rtol=1e-12)
