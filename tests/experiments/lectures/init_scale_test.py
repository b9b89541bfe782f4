"""The law of the draw, and the U over five decades of its scale."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments.lectures import init_scale
from initlab import claims, keys
from initlab.experiment import Outcome


@pytest.mark.slow
def test_the_lecture_at_reduced_size():
  """20 seeds of 600 steps at both ends and at 1."""
  config = init_scale.Config(steps=600)
  data = init_scale.load(config, '')
  program = init_scale.TRAINING.program(config)

  @jax.jit
  def run(scale, seed):
    pieces = init_scale.TRAINING._replace(program=lambda config: program)
    numbers = {'epsilon': scale, 'learning_rate': 0.5}
    key = keys.at(keys.root(0), seed)
    state = pieces.start(program, numbers, key, data)
    state = pieces.advance(program, numbers, key, data, state, 0, 600)
    return pieces.record(program, data, state)

  many = jax.jit(jax.vmap(run, (None, 0)))
  outcomes = []
  for scale in (0.001, 1.0, 100.0):
    result = many(np.float32(scale), np.arange(20, dtype=np.uint32))
    measured = {name: np.asarray(x) for name, x in result._asdict().items()}
    setting = dataclasses.replace(config, epsilon=scale)
    outcomes.append(Outcome(setting, '', np.arange(20), measured, {}))
  found = claims.findings(init_scale.CLAIMS, outcomes)
  assert [each.holds for each in found] == [True] * 3
  solved = [each.measured['solved'].mean() for each in outcomes]
  assert solved == [0, 1, 0]
