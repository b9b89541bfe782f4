"""Gram matrices of a batch, against simulation and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import activations, grams

_DRAWS = 200_000


def _gram(covariance):
  square = np.diag(covariance).copy()
  distance = square[:, None] + square[None, :] - 2 * covariance
  return grams.Gram(square, distance)


def _inputs():
  """Five examples of unlike size; the second is nearly the first."""
  x = np.random.default_rng(0).normal(size=(5, 8))
  x[1] = 1.1 * x[0] + 0.02 * x[1]
  return x


@pytest.mark.slow
@pytest.mark.parametrize('bias', [0.0, 0.7])
@pytest.mark.parametrize(
  ('name', 'slack'),
  [('tanh', 0), ('relu', 0.01), ('prelu', 0.01), ('selu', 0.02), ('gelu', 0)],
)
def test_duals_are_what_is_simulated(name, slack, bias):
  """Distances within 6 standard errors of 200,000 draws of s.

  The slack is what the docstring of `dual` grants to kinks and jumps.
  """
  pre = grams.of_data(_inputs())
  s = np.random.default_rng(1).multivariate_normal(
    np.zeros(5), pre.products(), size=_DRAWS
  )
  f = activations.ACTIVATIONS[name]
  drawn = activations.evaluate(f, s + bias)
  for found, values in zip(grams.dual(f, pre, bias), drawn, strict=True):
    apart = (values[:, :, None] - values[:, None, :]) ** 2
    error = apart.std(0) / _DRAWS**0.5
    mean = apart.mean(0)
    assert (np.abs(found.distance - mean) <= 6 * error + slack * mean).all()
    square = values**2
    error = square.std(0) / _DRAWS**0.5
    assert (np.abs(found.square - square.mean(0)) <= 6 * error + 1e-12).all()


def test_relu_of_cho_and_saul():
  """Eq. 6: sqrt(q_x q_y) (sin t + (pi - t) cos t) / (2 pi), t the angle."""
  angle = 2.0
  covariance = np.array([[4.0, 6 * np.cos(angle)], [6 * np.cos(angle), 9.0]])
  values, slopes = grams.dual(jax.nn.relu, _gram(covariance))
  kernel = 6 * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
  np.testing.assert_allclose(values.products()[0, 1], kernel, rtol=1e-12)
  np.testing.assert_allclose(
    slopes.products()[0, 1], (np.pi - angle) / (2 * np.pi), rtol=1e-12
  )


def test_sin_in_closed_form():
  """E sin s_x sin s_y = exp(-(q_x + q_y) / 2) sinh C."""
  covariance = np.array([[0.5, 0.3], [0.3, 2.0]])
  values, slopes = grams.dual(jnp.sin, _gram(covariance))
  decay = np.exp(-1.25)
  np.testing.assert_allclose(
    values.products()[0, 1], decay * np.sinh(0.3), rtol=1e-9
  )
  np.testing.assert_allclose(
    slopes.products()[0, 1], decay * np.cosh(0.3), rtol=1e-9
  )


@pytest.mark.parametrize('name', ['tanh', 'relu', 'sigmoid', 'selu'])
def test_nearly_equal_examples_keep_their_distance(name):
  """E (f_x - f_y)^2 = E f'^2 E (s_x - s_y)^2 at a distance of 1e-24.

  What is left of second order is sqrt(distance), 1e-12, and of a kink as much.
  """
  distance = 1e-24 * (1 - np.eye(2))
  pre = grams.Gram(np.full(2, 1.5), distance)
  f = activations.ACTIVATIONS[name]
  slope = activations.moments(f, np.array(1.5))[2]
  found = grams.dual(f, pre)[0].distance[0, 1]
  np.testing.assert_allclose(found, 1e-24 * slope, rtol=1e-6)


def test_within_is_the_variance_over_examples():
  x = _inputs()
  gram = grams.of_data(x)
  np.testing.assert_allclose(gram.within(), x.var(axis=0).mean(), rtol=1e-12)
  unit = x / np.linalg.norm(x, axis=1, keepdims=True)
  cosines = (unit @ unit.T)[~np.eye(5, dtype=bool)]
  np.testing.assert_allclose(gram.cosine(), cosines.mean(), rtol=1e-12)


def test_products_of_independent_layers():
  x = _inputs()
  one, other = grams.of_data(x), grams.of_data(x[::-1] ** 2)
  product = one.times(other)
  np.testing.assert_allclose(
    product.products(), one.products() * other.products(), rtol=1e-10
  )


def test_a_constant_is_no_distance():
  gram = grams.of_data(_inputs())
  moved = gram.scaled(2.0).shifted(3.0)
  np.testing.assert_allclose(moved.products(), 2 * gram.products() + 3)


def test_without_variance_f_is_a_constant():
  pre = grams.Gram(np.zeros(3), np.zeros((3, 3)))
  values, slopes = grams.dual(jnp.tanh, pre, 0.5)
  np.testing.assert_allclose(values.products(), np.tanh(0.5) ** 2, rtol=1e-12)
  np.testing.assert_allclose(slopes.products(), np.cosh(0.5) ** -4, rtol=1e-9)
  np.testing.assert_array_equal(values.distance, 0)
