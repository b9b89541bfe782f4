"""Which layers learn first: where gradients are larger, or nowhere."""

import functools

import jax
import numpy as np
import pytest

from experiments.lectures import layer_speed
from initlab import base, claims, keys, training
from initlab.experiment import Outcome


@pytest.mark.slow
def test_the_first_step_moves_every_layer_by_rate_times_gradient():
  """|w - w_0| / |w_0| = rate |dC/dw| / |w_0|, up to float32 subtraction."""
  config = layer_speed.Config(widths=(8, 7, 6), examples=20, steps=10)
  data = layer_speed.load(config, '')
  run = functools.partial(training.run, layer_speed.EXPERIMENT, config)
  result = jax.jit(run)(keys.at(keys.root(0), 3), data)
  assert np.isnan(result.change[0]).all()
  # w - w_0 of float32 numbers is known to 2^-24 |w_0|, a change of 1e-3 to
  # 1e-4 of itself.
  np.testing.assert_allclose(result.change[1], 0.1 * result.gradient, rtol=1e-3)
  np.testing.assert_array_equal(result.change[-1], result.final_change)
  assert result.gradient_ratio == result.gradient[-2] / result.gradient[1]


def test_a_shallow_network_is_refused():
  with pytest.raises(base.UserError, match='three hidden layers'):
    layer_speed.Config(widths=(5, 5))


@pytest.mark.slow
def test_the_lecture_at_reduced_size():
  """Eight seeds of both activations under glorot, 50 steps."""
  outcomes = []
  seeds = jax.vmap(lambda seed: keys.at(keys.root(0), seed))(
    np.arange(8, dtype=np.uint32)
  )
  for activation in ('sigmoid', 'tanh'):
    config = layer_speed.Config(activation=activation, examples=100)
    data = layer_speed.load(config, '')
    run = functools.partial(training.run, layer_speed.EXPERIMENT, config)
    result = jax.jit(jax.vmap(run, (0, None)))(seeds, data)
    measured = {name: np.asarray(x) for name, x in result._asdict().items()}
    outcomes.append(Outcome(config, activation, np.arange(8), measured, {}))
  found = [
    each.holds
    for each in claims.findings(layer_speed.EXPERIMENT.claims, outcomes)
  ]
  assert found == [True, True]
