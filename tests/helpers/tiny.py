"""An experiment that compiles at once: what programs do around a run."""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import experiment, keys, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerLayerSample, PerNetwork


@experiment.config
class Config:
  scale: float = experiment.knob(1.0, 'how large', above=0)
  widths: tuple[int, ...] = experiment.knob((3, 3), 'as of a network')


class Result(NamedTuple):
  size: Annotated[PerLayer, GEOMETRIC]
  mean_loss: PerNetwork
  sample: PerLayerSample


def run(config, key, data):
  del data
  drawn = config.scale * jax.random.normal(keys.at(key, 0), (3, 8))
  return Result(jnp.abs(drawn).mean(1), (drawn**2).mean(), drawn)


EXPERIMENT = experiment.Experiment(
  name='tiny',
  program=('-m', 'tiny'),
  doc='How large is a normal draw?',
  config=Config,
  result=Result,
  run=run,
  smoke=Config(),
  predict=lambda config, data: {
    'size': config.scale * np.sqrt(2 / np.pi) * np.ones(3)
  },
  verdict=lambda outcome: [
    f'mean_loss {stats.mean(outcome.measured["mean_loss"])}'
  ],
  answer=lambda outcome: {
    ('mean_loss', 'mean'): stats.mean(outcome.measured['mean_loss'])
  },
  compared=('mean_loss',),
)
