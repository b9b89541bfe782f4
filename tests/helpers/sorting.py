"""An experiment that sorts, of a size that is a knob."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab.experiment import Experiment, PerNetwork, config, knob


@config
class Config:
  """How much is sorted."""

  size: int = knob(1000, 'how many numbers are sorted')

  def draw(self, key):
    return jax.random.normal(key, (self.size,))


class Result(NamedTuple):
  middle: PerNetwork


def run(config, key, data):
  del data
  return Result(jnp.sort(config.draw(key))[3])


SORTING = Experiment(
  name='sorting',
  program=('-m', 'experiments.sorting'),
  doc='Sorts.',
  config=Config,
  smoke=Config(),
  result=Result,
  load=lambda config, data_dir: (),
  run=run,
  panels=(),
)
