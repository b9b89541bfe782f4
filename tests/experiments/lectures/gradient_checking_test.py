"""Gradient checks of networks: the claims of the experiment, as it runs."""

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lectures import gradient_checking
from initlab import activations
from tests.helpers import studies

# Of sigmoid and relu, as of most, a right gradient in 20 is farther than 1e-9
# from differences at the lecture's epsilon of 1e-4.
_FOUND = {
  'lecture 12, right': False,
  'lecture 12, epsilon': True,
  'lecture 12, wrong': True,
}


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('gradients')
  return studies.run(
    gradient_checking.EXPERIMENT,
    out,
    '--activation=sigmoid,relu',
    '--seeds=0:10',
  )


@pytest.mark.slow
def test_all_claims_but_the_lectures_threshold_hold(outcomes):
  assert studies.holds(gradient_checking.EXPERIMENT, outcomes) == _FOUND


@pytest.mark.slow
def test_so_they_do_for_every_nonlinearity(tmp_path):
  outcomes = studies.run(gradient_checking.EXPERIMENT, tmp_path)
  assert len(outcomes) == len(activations.ACTIVATIONS)
  assert studies.holds(gradient_checking.EXPERIMENT, outcomes) == _FOUND


@pytest.mark.slow
def test_the_error_falls_as_epsilon_squared_then_rises_as_its_inverse(outcomes):
  """Slopes 2 and -1 of the logarithms, halfway to each end of a decade."""
  error = outcomes[0].measured['error']
  digits = np.log10(error)
  falls, rises = digits[:, :3], digits[:, 5:]
  assert abs(np.diff(falls).mean() + 2) < 0.5
  assert abs(np.diff(rises).mean() - 1) < 0.5


def test_a_mistake_leaves_the_values_alone():
  x = jnp.linspace(-2, 2, 9)
  wrong = gradient_checking.without_slope(jnp.tanh)
  np.testing.assert_array_equal(wrong(x), jnp.tanh(x))
  np.testing.assert_array_equal(activations.derivative(wrong)(x), jnp.ones(9))
