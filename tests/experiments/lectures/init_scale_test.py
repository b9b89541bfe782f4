"""The law of the draw, and the U over five decades of its scale."""

import jax
import numpy as np
import pytest

from experiments.lectures import init_scale
from initlab import claims, keys, training
from initlab.experiment import Outcome


@pytest.mark.slow
def test_the_lecture_at_reduced_size():
  """20 seeds of 600 steps at both ends and at 1."""
  data = init_scale.load(init_scale.SMOKE, '')

  def run(config, seed):
    key = keys.at(keys.root(0), seed)
    return training.run(init_scale.EXPERIMENT, config, key, data)

  many = jax.jit(jax.vmap(run, (None, 0)))
  outcomes = []
  for epsilon in (0.001, 1.0, 100.0):
    config = init_scale.Config(epsilon=epsilon, steps=600)
    result = many(config, np.arange(20, dtype=np.uint32))
    measured = {name: np.asarray(x) for name, x in result._asdict().items()}
    outcomes.append(Outcome(config, '', np.arange(20), measured, {}))
  found = claims.findings(init_scale.EXPERIMENT.claims, outcomes)
  assert [each.holds for each in found] == [True] * 3
  solved = [each.measured['solved'].mean() for each in outcomes]
  assert solved == [0, 1, 0]
