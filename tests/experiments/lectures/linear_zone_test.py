"""While sigmoid units are in their linear zone, a network is a linear model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.lectures import linear_zone
from initlab import claims, keys
from initlab.experiment import Outcome

_LN_2 = np.log(2)


def test_the_bound_is_kept_by_any_network_in_the_zone_and_by_none_beyond():
  """Random networks: those in the zone are within the bound, wide ones not."""
  data = linear_zone.load(linear_zone.SMOKE, '')

  def seen(seed, scale):
    key = keys.at(keys.root(1), seed)
    config = linear_zone.Config(units=4)
    state = linear_zone.start(
      config, {'scale': scale, 'learning_rate': jnp.float32(1)}, key, data
    )
    return linear_zone.look(state.network.params, data)

  many = jax.jit(jax.vmap(seen, (0, None)))
  seeds = np.arange(200, dtype=np.uint32)
  near, far = (many(seeds, jnp.float32(scale)) for scale in (0.4, 20))
  inside = near.linear == 1
  assert inside.sum() > 100
  # Logits of about 1 are known to 1e-6.
  assert (near.gap <= near.bound + 1e-6).all()
  assert (near.cost >= _LN_2 - near.bound - 1e-6).all()
  assert (far.gap > far.bound).mean() > 0.9


@pytest.mark.slow
def test_the_lecture_at_its_own_size():
  """Eight seeds of 1000 steps: ln 2 in the zone, solved beyond."""
  config = linear_zone.Config()
  data = linear_zone.load(config, '')
  run = lambda seed: linear_zone.EXPERIMENT.run(
    config, keys.at(keys.root(0), seed), data
  )
  result = jax.jit(jax.vmap(run))(np.arange(8, dtype=np.uint32))
  measured = {name: np.asarray(x) for name, x in result._asdict().items()}
  outcome = Outcome(config, '', np.arange(8), measured, {})
  (found,) = claims.findings(linear_zone.CLAIMS, [outcome])
  assert found.holds
  assert (measured['final_cost'] < 0.1).all()
