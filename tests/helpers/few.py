"""The variance experiment with three of its measures: it compiles soon."""

from typing import NamedTuple

from initlab import networks, stats
from initlab.experiment import PerLayer, PerNetwork
from initlab.instruments import variance


class Result(NamedTuple):
  activation_std: PerLayer
  saturated: PerLayer
  mean_loss: PerNetwork


def run(config, key, batch):
  params = config.draw(key)
  return Result(**networks.probed(config, params, batch, Result._fields))


EXPERIMENT = variance.EXPERIMENT._replace(
  result=Result,
  run=run,
  predict=lambda config, batch: {},
  verdict=lambda outcome: [],
  answer=lambda outcome: {
    ('', 'mean_loss'): stats.mean(outcome.measured['mean_loss'])
  },
  compared=('mean_loss',),
  panels=tuple(
    panel
    for panel in variance.PANELS
    if panel.name in ('activation_std_depth', 'saturated_depth')
  ),
)
