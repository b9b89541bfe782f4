"""How many steps a deep linear network needs, against its depth.

Question:
  A linear network of any depth can only learn a linear map. Does it take longer
  the deeper it is?
Paper:
  Saxe, McClelland & Ganguli, Exact solutions to the nonlinear dynamics of
  learning in deep linear neural networks, 2014, figure 6A.
Run:
  python -m experiments.atlas.learning_time --init=orthogonal --depth=2,8
Takes:
  A minute and a half on two CPU cores (48 settings of 6 seeds).
Expect:
  At the best of six learning rates the number of steps from orthogonal
  weights does not depend on the depth; from normal ones it grows.
"""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import claims, experiment, functions, launch, losses
from initlab import networks, panels, stacked, stats, training
from initlab.experiment import PerNetwork, PerStep, knob


@experiment.config
class Config(stacked.Network):
  """A linear network, and how it is trained on all examples at every step."""

  init: functions.Named = networks.init_knob('orthogonal')
  activation: functions.Named = networks.activation_knob('identity')
  widths: tuple[int, ...] = knob((32,), 'the hidden widths', least=1)
  dataset: functions.Named = networks.dataset_knob('digits')
  loss: str = knob('squared_error', 'the loss of an example', losses.LOSSES)
  learning_rate: float = knob(0.01, 'of gradient descent', above=0, traced=True)
  examples: int = knob(50, 'training examples', least=1)
  steps: int = knob(600, 'how many steps are taken', least=1)
  record_every: int = knob(100, 'steps between records', least=1)
  target: float = knob(
    0.25, 'the loss at which it has learned; an output of 0 has 0.5', above=0
  )


SMOKE = Config(
  widths=(3,), dataset='xor', examples=4, steps=4, record_every=2, target=10.0
)
SWEEP = {
  'init': ('orthogonal', 'lecun_normal'),
  'depth': (2, 4, 8, 16),
  'learning_rate': (0.1, 0.05, 0.025, 0.0125, 0.006, 0.003),
}


class Result(NamedTuple):
  """What is recorded; NaN from where a seed diverges.

  mean_loss: mean loss of the examples.
  learning_time: the first step whose loss is below the target; NaN if none is.
  """

  mean_loss: PerStep
  learning_time: PerNetwork


load = networks.load('train')


def before(config: Config, key, params, batch):
  """Nothing has been learned."""
  del config, key, params, batch
  return {'learning_time': jnp.full((), jnp.nan, float)}


def watch(config: Config, network, moved, batch, kept, step):
  """Notes the first step below the target."""
  del network, batch
  learned = moved.last_loss < config.target
  now = jnp.asarray(step, float)
  first = learned & jnp.isnan(kept['learning_time'])
  return {'learning_time': jnp.where(first, now, kept['learning_time'])}


def record(config: Config, network, batch, kept):
  """The loss of all examples."""
  del kept
  loss, _ = stacked.evaluate(config, network.params, batch)
  return {'mean_loss': loss}


TRAINING = training.of_networks(
  Result, record, objective=stacked.objective, before=before, watch=watch
)


def fastest(outcomes):
  """Of settings that differ in the rate, the fastest all of whose seeds learn.

  Raises:
    Untested: at no rate do all of them.
  """
  times = [each.measured['learning_time'] for each in outcomes]
  whole = [each for each in times if np.isfinite(each).all()]
  if not whole:
    raise claims.Untested(f'{outcomes[0].label}: some seeds never learn')
  return min(whole, key=np.mean)


def verdict(outcome):
  """How many seeds learned, and when."""
  times = outcome.measured['learning_time']
  learned = np.isfinite(times)
  if not learned.any():
    return ['no seed reached the target']
  return [
    f'{learned.sum()} of {len(times)} seeds reached the target, after '
    f'{stats.mean(times)} steps'
  ]


@claims.claim(
  'atlas 3, learning time',
  'Saxe, McClelland & Ganguli, 2014, section 3 and figure 6A',
)
def learning_time(outcomes):
  """Learning time does not grow with depth from orthogonal weights.

  From normal ones of the same size it does. The theory of decoupled modes has
  it grow by a fifth from 2 layers to 100 at the optimal rate.

  Holds if the interval of the ratio of the times of the deepest and of the
  shallowest networks, paired by seed, each at its best rate, lies below 2 with
  orthogonal weights and above 2 with normal ones.

  Untested if the deepest is not four times as deep as the shallowest, or if at
  no rate all seeds learn.
  """
  told, ratios = [], {}
  for init in ('orthogonal', 'lecun_normal'):
    found = claims.every(outcomes, init=init)
    depths = sorted({each.config.depth for each in found})
    if depths[-1] < 4 * depths[0]:
      raise claims.Untested('no range of depths')
    ends = [claims.every(found, depth=each) for each in (depths[-1], depths[0])]
    deep, shallow = map(fastest, ends)
    # Each is chosen on the seeds that judge it.
    ratios[init] = claims.ratio(deep, shallow, math.prod(map(len, ends)))
    told.append(
      f'{init}: {shallow.mean():.3g} steps with {depths[0]} hidden layers, '
      f'{deep.mean():.3g} with {depths[-1]}, ratio {ratios[init]}'
    )
  holds = ratios['orthogonal'].high < 2 and ratios['lecun_normal'].low > 2
  return claims.finding(holds, '; '.join(told))


PANELS = (
  panels.Sweep(
    'learning_time',
    'Steps until learned, at the best rate',
    'steps',
    log=True,
    knob='depth',
    tuned=('learning_rate', 'learning_time'),
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:6'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
