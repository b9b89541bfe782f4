"""The law of sums of many inputs, and the zones of the sigmoid."""

import jax
import numpy as np
import pytest

from experiments.lectures import claims_saturation, saturation, zones
from initlab import keys


def test_the_zones_are_where_the_lecture_has_them():
  s = np.linspace(-zones.LINEAR, zones.LINEAR, 100_001)
  error = np.abs(1 / (1 + np.exp(-s)) - (0.5 + s / 4))
  assert 0.01 < error.max() < zones.LINEAR_ERROR
  edge = np.exp(-zones.FLAT)
  slope = edge / (1 + edge) ** 2
  assert round(slope, 5) == 0.01766 < zones.FLAT_SLOPE


@pytest.mark.parametrize('init', ['uniform', 'normal'])
def test_a_layer_is_as_theory_has_it(init):
  """10 seeds of 100 x 100 units, within four standard errors of each field."""
  config = saturation.Config(init=init, inputs=300)
  run = jax.jit(jax.vmap(lambda seed: saturation.run(config, seed, None)))
  seeds = jax.vmap(lambda seed: keys.at(keys.root(0), seed))
  result = run(seeds(np.arange(10, dtype=np.uint32)))
  measured = {name: np.asarray(x) for name, x in result._asdict().items()}
  predicted = saturation.predict(config, None)
  for field, said in predicted.items():
    values = measured[field]
    error = 4 * values.std(ddof=1) / np.sqrt(len(values))
    slack = claims_saturation.not_gaussian(config, field)
    assert abs(values.mean() - said) < error + slack, field
