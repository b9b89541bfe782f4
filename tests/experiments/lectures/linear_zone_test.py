"""While sigmoid units are in their linear zone, a network is a linear model."""

import jax
import numpy as np
import pytest

from experiments.lectures import linear_zone
from initlab import keys, training
from initlab.experiment import Outcome

_LN_2 = np.log(2)


@pytest.mark.slow
def test_the_bound_is_kept_by_any_network_in_the_zone_and_by_none_beyond():
  """Random networks: those in the zone are within the bound, wide ones not."""
  data = linear_zone.load(linear_zone.SMOKE, '')

  def compared(config, seed):
    params = config.draw(keys.at(keys.root(1), seed))
    return linear_zone.compare(params, data)

  many = jax.jit(jax.vmap(compared, (None, 0)))
  seeds = np.arange(200, dtype=np.uint32)
  near, far = (
    many(linear_zone.Config(units=4, scale=scale), seeds) for scale in (0.4, 20)
  )
  inside, bound = near['linear'] == 1, near['bound']
  assert inside.sum() > 100
  # Logits of about 1 are known to 1e-6.
  assert (near['excess'] <= 1 + 1e-6 / bound).all()
  assert (near['mean_loss'] >= _LN_2 - bound - 1e-6).all()
  assert (far['excess'] > 1).mean() > 0.9


@pytest.mark.slow
def test_the_lecture_at_its_own_size():
  """Eight seeds of 1000 steps: ln 2 in the zone, solved beyond."""
  config = linear_zone.Config()
  data = linear_zone.load(config, '')
  run = lambda seed: training.run(
    linear_zone.EXPERIMENT, config, keys.at(keys.root(0), seed), data
  )
  result = jax.jit(jax.vmap(run))(np.arange(8, dtype=np.uint32))
  measured = {name: np.asarray(x) for name, x in result._asdict().items()}
  outcome = Outcome(config, '', np.arange(8), measured, {})
  assert linear_zone.no_better.check([outcome]).holds
  assert (measured['final_loss'] < 0.1).all()
