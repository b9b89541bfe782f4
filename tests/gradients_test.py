"""Gradient checks of networks: the claims, and how they fail."""

import jax.numpy as jnp
import numpy as np
import pytest
import studies

from experiments import gradients
from initlab import activations

_RIGHT, _WRONG = _NAMES = [claim.name for claim in gradients.CLAIMS]


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('gradients')
  return studies.run(
    gradients.EXPERIMENT, out, '--activation=sigmoid,relu', '--seeds=0:10'
  )


def _holds(outcomes):
  return studies.holds(gradients.EXPERIMENT, outcomes)


def _with(outcomes, field, function, **knobs):
  change = lambda measured: {field: function(measured[field])}
  return _holds(studies.doctored(outcomes, change, **knobs))


def test_every_claim_holds(outcomes):
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


@pytest.mark.slow
def test_every_claim_holds_for_every_nonlinearity(tmp_path):
  outcomes = studies.run(gradients.EXPERIMENT, tmp_path)
  assert len(outcomes) == len(activations.ACTIVATIONS)
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


def test_the_error_falls_as_epsilon_squared_then_rises_as_its_inverse(outcomes):
  """Slopes 2 and -1 of the logarithms, halfway to each end of a decade."""
  error = outcomes[0].measured['error']
  digits = np.log10(error)
  falls, rises = digits[:, :3], digits[:, 5:]
  assert abs(np.diff(falls).mean() + 2) < 0.5
  assert abs(np.diff(rises).mean() - 1) < 0.5


def test_one_error_that_is_too_large_fails(outcomes):
  odd = lambda x: np.where(np.arange(len(x)) == 3, 2e-9, x)
  assert not _with(outcomes, 'right', odd, activation='relu')[_RIGHT]


def test_kinks_in_most_networks_fail(outcomes):
  """Of networks that cannot be checked nothing is claimed."""
  lost = lambda x: np.where(np.arange(len(x)) > 1, np.nan, x)
  assert not _with(outcomes, 'right', lost)[_RIGHT]


def test_one_wrong_gradient_that_passes_fails(outcomes):
  odd = lambda x: np.where(np.arange(len(x)) == 3, 1e-4, x)
  assert not _with(outcomes, 'wrong', odd, activation='sigmoid')[_WRONG]


def test_a_mistake_leaves_the_values_alone():
  x = jnp.linspace(-2, 2, 9)
  wrong = gradients.without_slope(jnp.tanh)
  np.testing.assert_array_equal(wrong(x), jnp.tanh(x))
  np.testing.assert_array_equal(activations.derivative(wrong)(x), jnp.ones(9))
