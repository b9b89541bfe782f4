"""What theory is made of, each part by a closed form or a simulation of it.

Widths are a million where weights are not the point, so that corrections for
finite widths are none.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from initlab import activations, initializers, losses, theory

_WIDE = 10**6
_DRAWS = 200_000


def _predict(init, activation, *, widths, x=1.0, bias=0.0):
  """For one example, all of whose inputs are x."""
  return theory.predict(
    theory.layers(initializers.SCHEMES[init], widths),
    np.full((1, widths[0]), x),
    activation,
    losses.LOSSES['cross_entropy'],
    bias=bias,
  )


@pytest.mark.parametrize('init', ['torch', 'equinox', 'standard'])
def test_random_biases_add_their_variance(init):
  """Linear layers: q_1 = (x^2 + 1/n_0) / 3, q_2 = (q_1 + 1/n_1) / 3."""
  n, x = 3, 0.5
  biased = init != 'standard'
  first = (x**2 + biased / n) / 3
  found = _predict(init, activations.identity, widths=(n, _WIDE, _WIDE), x=x)[
    'activation_std'
  ]
  second = (first + biased / _WIDE) / 3
  np.testing.assert_allclose(found**2, [first, second], rtol=1e-4)


def test_the_deviation_of_rectified_normal_values():
  """Var max(s, 0) = q (1/2 - 1/(2 pi)) for s ~ N(0, q): without the mean."""
  found = _predict('lecun_normal', jax.nn.relu, widths=(_WIDE,) * 3)
  expected = math.sqrt(0.5 - 0.5 / math.pi)
  np.testing.assert_allclose(found['activation_std'][0], expected, rtol=1e-4)


def test_the_deviation_around_a_mean_that_a_bias_makes():
  """f(s) = s with a bias of 3: the deviation knows nothing of it."""
  found = _predict(
    'lecun_normal', activations.identity, widths=(_WIDE,) * 3, bias=3.0
  )
  np.testing.assert_allclose(found['activation_std'][0], 1.0, rtol=1e-4)
  # The second layer has the mean square 1 + 3^2 for its variance.
  np.testing.assert_allclose(
    found['activation_std'][1], math.sqrt(10), rtol=1e-4
  )


@pytest.mark.parametrize('bias', [0.0, 0.8, -2.5])
def test_a_constant_bias_moves_what_saturates(bias):
  """tanh' < 0.1 beyond |s| = atanh(sqrt(0.9)), for s ~ N(bias, 1)."""
  limit = math.atanh(math.sqrt(0.9))
  expected = special.ndtr(bias - limit) + special.ndtr(-limit - bias)
  share = activations.saturated_share(jnp.tanh, np.ones(1), bias)
  np.testing.assert_allclose(share, expected, rtol=1e-6)
  found = _predict('lecun_normal', jnp.tanh, widths=(_WIDE,) * 3, bias=bias)
  np.testing.assert_allclose(found['saturated'][0], expected, rtol=1e-4)


@pytest.mark.parametrize('mean', [0.0, 0.7, -1.5])
@pytest.mark.parametrize('name', losses.LOSSES)
def test_the_square_of_a_gradient_by_simulation(name, mean):
  """(1/K) E |dC/ds|^2 for logits of a common mean, within 6.5 errors."""
  size, variance = 4, 0.5
  random = np.random.default_rng(0)
  logits = random.normal(mean, variance**0.5, (_DRAWS, size))
  output = special.softmax(logits, 1) if name == 'cross_entropy' else logits
  square = ((output - np.eye(size)[0]) ** 2).mean(1)
  loss = losses.LOSSES[name]
  exact = loss.gradient_square(np.asarray(variance), mean, size)
  error = square.std() / _DRAWS**0.5
  assert abs(square.mean() - exact) < 6.5 * error
  # What the cross term of squared error is, is far more than that.
  assert 13 * error < 2 * 0.7 / size


@pytest.mark.parametrize('mean', [0.0, 0.7, -1.5])
@pytest.mark.parametrize('name', losses.LOSSES)
def test_the_cost_by_simulation(name, mean):
  """E C for logits of a common mean, within 6.5 standard errors."""
  size, variance = 4, 0.5
  random = np.random.default_rng(1)
  logits = random.normal(mean, variance**0.5, (_DRAWS, size))
  if name == 'cross_entropy':
    cost = -special.log_softmax(logits, 1)[:, 0]
  else:
    cost = 0.5 * ((logits - np.eye(size)[0]) ** 2).sum(1)
  exact = losses.LOSSES[name].expected(np.asarray(variance), mean, size)
  error = cost.std() / _DRAWS**0.5
  assert abs(cost.mean() - exact) < 6.5 * error
