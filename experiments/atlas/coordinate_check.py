"""Do activations keep their size as a network gets wider?

Question:
  If a network is made wider, by how much more do its units move in the first
  steps of training, at one learning rate?
Paper:
  Yang et al., Tensor Programs V: Tuning large neural networks via zero-shot
  hyperparameter transfer, 2022, appendix D.1 and figure 5.
Run:
  python -m experiments.atlas.coordinate_check --width=64,512
Takes:
  A minute on two CPU cores (6 settings of 16 seeds).
Expect:
  In muP every hidden layer moves by as much at any width, and the output by
  half as much with 1,024 units as with 64. In standard parametrization the
  output moves the more the wider the network, about in proportion.
"""

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, launch, networks, panels, stats
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, PerStepLayer
from initlab.experiment import knob
from initlab.models import first_steps

from . import wide_networks

_FLAT = 0.1  # of a slope, up to which a size is said not to grow
_GROWS = 0.4  # from which it is said to grow


@experiment.config
class Config(wide_networks.Wide):
  """A network, and the first steps of Adam on one batch."""

  steps: int = knob(4, 'how many steps are taken', least=1)
  examples: int = knob(32, 'training examples, all in every step', least=1)


SMOKE = Config(width=4, base_width=2, dataset='xor', examples=4, steps=2)
SWEEP = {
  'parametrization': ('mup', 'standard'),
  'width': (64, 256, 1024),
}


class Result(NamedTuple):
  """Root mean squares of pre-activations x over units and examples.

  start: of x_0, before the first step.
  moved: of x_t - x_0, after t steps.
  hidden_moved, output_moved: of the last hidden layer and of the output, the
    geometric mean over the steps.
  """

  start: Annotated[PerLayer, GEOMETRIC]
  moved: Annotated[PerStepLayer, GEOMETRIC]
  hidden_moved: Annotated[PerNetwork, GEOMETRIC]
  output_moved: Annotated[PerNetwork, GEOMETRIC]


load = networks.load('train')


def steps(config: Config) -> tuple[int, ...]:
  """1, ..., T."""
  return tuple(range(1, config.steps + 1))


def run(config: Config, key: base.Key, data: base.Batch) -> Result:
  """The first steps of one network."""
  rms, _ = first_steps.take(
    config.mean_loss, config.draw(key), data, config.optimizer(), config.steps
  )
  start, moved = rms[0], rms[1:]
  mean = jnp.exp(jnp.mean(jnp.log(moved), axis=0))
  return Result(
    start=start, moved=moved, hidden_moved=mean[-2], output_moved=mean[-1]
  )


def verdict(outcome):
  """By how much the output moves."""
  moved = stats.average(outcome, 'output_moved')
  return [f'the output moves by {moved} in {outcome.config.steps} steps']


def slopes(outcomes) -> np.ndarray:
  """d log2 rms(x_t - x_0) / d log2 width, the mean over the steps, `[S, L]`."""
  widths = np.log2([each.config.width for each in outcomes])
  moved = [np.log2(each.measured['moved']).mean(axis=1) for each in outcomes]
  centred = widths - widths.mean()
  return np.tensordot(centred / (centred @ centred), np.stack(moved), axes=1)


@claims.claim(
  'atlas 9, coordinates', 'Yang et al., 2022, appendix D.1 and figure 5'
)
def sizes(outcomes):
  """In muP every layer moves alike at all widths; in SP the output grows.

  Holds if with mup the interval of the slope of log2 rms(x_t - x_0) on log2
  width, averaged over the steps, holds values within 0.1 of 0 in every layer,
  half of it being no wider than that; and with standard that of the output lies
  above 0.4.

  Untested if the widths of one of the two do not span a factor of 4.
  """
  found = {}
  for name in ('mup', 'standard'):
    settings = claims.every(outcomes, parametrization=name)
    widths = [each.config.width for each in settings]
    if max(widths) < 4 * min(widths):
      raise claims.Untested(f'no range of widths with {name}')
    found[name] = slopes(settings)
  layers = found['mup'].shape[1]
  level = claims.mean(found['mup'], layers)
  grows = claims.mean(found['standard'][:, -1])
  flat = claims.agrees(level, np.zeros(layers), within=_FLAT, slack=_FLAT)
  told = ', '.join(f'{value:.3f}' for value in level.value)
  output = claims.mean(found['mup'][:, -1], layers)
  return claims.finding(
    claims.together([flat, bool(grows.low > _GROWS)]),
    f'muP: slopes {told}, of the output {output}; standard: output {grows}',
  )


_WIDTH = {'knob': 'width', 'log': True}
PANELS = (
  panels.Sweep('output_moved', 'How far the output moves', 'rms', **_WIDTH),
  panels.Sweep(
    'hidden_moved', 'How far the last hidden layer moves', 'rms', **_WIDTH
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:16'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
