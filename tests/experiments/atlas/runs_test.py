"""What the pages of the atlas measure, and their claims as they run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.atlas import (
  jacobian_spectrum,
  learning_time,
  log_normal,
  phase_diagram,
  residual_growth,
)
from initlab import keys
from tests.helpers import studies


def _runs(module, config, seeds):
  """The results of so many seeds."""
  run = lambda seed: module.run(config, keys.at(keys.root(0), seed), None)
  return jax.vmap(run)(jnp.arange(seeds, dtype=jnp.uint32))


@pytest.mark.slow
def test_linear_layers_multiply_variances():
  """chi_1 is sw2 exactly, and q_l = sw2^l on average."""
  config = phase_diagram.Config(
    activation='identity',
    weight_variance=1.5,
    bias_variance=0.0,
    width=64,
    depth=4,
    pairs=1,
  )
  found = _runs(phase_diagram, config, 32)
  np.testing.assert_allclose(found.chi_1, 1.5, rtol=1e-6)
  # A square |s|^2 / n of a layer has relative variance 2 / n, the two inputs of
  # a pair nearly the same one: 32 seeds of 4 layers, at 4 standard errors.
  error = 4 * (2 * 4 / 64 / 32) ** 0.5
  np.testing.assert_allclose(found.variance[:, -1].mean(), 1.5**4, rtol=error)


def test_the_mean_square_length_is_kept():
  found = _runs(log_normal, log_normal.Config(width=16, depth=2), 4000)
  # (1 + 5 / 16)^2 - 1 is the variance of |h|^2, at 4 standard errors.
  error = 4 * ((21 / 16) ** 2 - 1) ** 0.5 / 4000**0.5
  length = jnp.exp(found.log_length[:, -1])
  np.testing.assert_allclose(length.mean(), 1.0, atol=error)
  np.testing.assert_allclose(found.length_square, length**2, rtol=1e-4)


@pytest.mark.slow
def test_singular_values_of_orthogonal_products_are_one():
  config = jacobian_spectrum.Config(activation='identity', width=8, depth=3)
  found = _runs(jacobian_spectrum, config, 2)
  np.testing.assert_allclose(found.singular_values, 1.0, atol=1e-5)
  assert float(found.distance.max()) < 1e-5


@pytest.mark.parametrize('branch', ['skip_init', 'fixup'])
def test_a_branch_of_zero_is_the_identity(branch):
  config = residual_growth.Config(branch=branch, width=8, depth=3)
  found = _runs(residual_growth, config, 2)
  assert not found.difference.any()
  assert not found.jacobian_difference.any()


def test_the_jacobian_is_that_of_the_output():
  config = residual_growth.Config(branch='plain', width=8, depth=3)
  assert (_runs(residual_growth, config, 2).jacobian_difference > 0.1).all()


def test_the_first_step_below_the_target_is_noted():
  config = learning_time.SMOKE
  kept = learning_time.before(config, None, None, None)

  class Moved:
    last_cost = jnp.float32(11.0)

  for step, cost in enumerate((11.0, 9.0, 8.0, 12.0)):
    Moved.last_cost = jnp.float32(cost)
    kept = learning_time.watch(config, None, Moved, None, kept, step)
    expected = np.nan if step == 0 else 1.0
    np.testing.assert_equal(float(kept['learning_time']), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
  'module',
  [
    jacobian_spectrum,
    learning_time,
    log_normal,
    phase_diagram,
    residual_growth,
  ],
)
def test_every_claim_holds_as_it_runs_by_default(module, tmp_path):
  outcomes = studies.run(module.EXPERIMENT, tmp_path)
  assert set(studies.holds(module.EXPERIMENT, outcomes).values()) == {True}
