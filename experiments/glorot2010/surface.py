"""The cost as a function of two weights, and its plateaus.

Question:
  Are the plateaus of the quadratic cost more severe than those of the
  cross-entropy, for the same network and the same signals?
Paper:
  Glorot & Bengio, Understanding the difficulty of training deep feedforward
  neural networks, AISTATS 2010: figure 5 and section 4.1.
Run:
  python -m experiments.glorot2010.surface --loss=cross_entropy,quadratic
Takes:
  Under 20 seconds on two CPU cores (200 seeds, two costs).
Expect:
  The cross-entropy lies above and keeps rising where the network is confidently
  wrong; the quadratic cost levels off there. Its slope is below a tenth of its
  steepest on 42% of the square, against 22% for the cross-entropy.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from initlab import base, claims, experiment, keys, launch, panels, stats
from initlab.experiment import PerNetwork, PerNetworkSample, knob

from . import SOURCE


def cross_entropy(output: base.Array, target: base.Array) -> base.Array:
  """-log P(t | x) in nats, P(1 | x) the sigmoid of the output."""
  return jax.nn.softplus(output) - target * output


def quadratic(output: base.Array, target: base.Array) -> base.Array:
  """(P(1 | x) - t)^2."""
  return (jax.nn.sigmoid(output) - target) ** 2


_LOSSES = {'cross_entropy': cross_entropy, 'quadratic': quadratic}


@experiment.config
class Config:
  """A network of two weights, and random signals to learn."""

  loss: str = knob('cross_entropy', 'the cost of an example', _LOSSES)
  examples: int = knob(20, 'how many inputs and targets', least=1)
  reach: float = knob(5.0, 'both weights range over +-reach', above=0)
  grid: int = knob(41, 'values of each weight, evenly spaced', least=2)
  flat: float = knob(
    0.1, 'slopes below this share of the steepest are flat', above=0, most=1
  )


SMOKE = Config(grid=5, examples=3)
SWEEP = {'loss': ('cross_entropy', 'quadratic')}


class Result(NamedTuple):
  """Over the square of the two weights.

  cost: `[grid^2]`, one row for each value of the first weight.
  flat_share: of the square where the slope |dC/d(W1, W2)| is less than `flat`
    times the steepest.
  plateau_share: of the flat square whose cost is also above that of zero
    weights, i.e. worse than having learned nothing.
  median_slope: over the steepest.
  """

  cost: PerNetworkSample
  flat_share: PerNetwork
  plateau_share: PerNetwork
  median_slope: PerNetwork


def run(config: Config, key: base.Key, data: None) -> Result:
  """The mean cost of W2 tanh(W1 x) on x ~ N(0, 1) and even targets of 0 and 1.

  A seed draws the same signals whatever the cost.
  """
  del data
  key, size = keys.stream(key, 'data'), (config.examples,)
  x = jax.random.normal(keys.stream(key, 'x'), size)
  target = jax.random.bernoulli(keys.stream(key, 'target'), 0.5, size)
  target = target.astype(x.dtype)

  def cost(weights: base.Array) -> base.Array:
    output = weights[1] * jnp.tanh(weights[0] * x)
    return jnp.mean(_LOSSES[config.loss](output, target))

  axis = jnp.linspace(-config.reach, config.reach, config.grid)
  square = jnp.stack(jnp.meshgrid(axis, axis, indexing='ij'), axis=-1)
  square = square.reshape(-1, 2)
  costs, slopes = jax.lax.map(
    jax.value_and_grad(cost), square, batch_size=len(square)
  )
  slope = jnp.linalg.norm(slopes, axis=1)
  slope /= jnp.max(slope)
  flat = slope < config.flat
  share = lambda where: jnp.mean(where.astype(x.dtype))
  return Result(
    cost=costs,
    flat_share=share(flat),
    plateau_share=share(flat & (costs > cost(jnp.zeros(2)))),
    median_slope=jnp.median(slope),
  )


def verdict(outcome):
  """How much of the square is flat."""
  mean = lambda field: stats.mean(outcome.measured[field])
  return [
    f'slope below {outcome.config.flat:g} of the steepest on '
    f'{mean("flat_share"):%} of the square; on {mean("plateau_share"):%} the '
    'cost is also above that of zero weights',
    f'median slope {mean("median_slope"):%} of the steepest',
  ]


@claims.claim('figure 5, plateaus', f'{SOURCE}, section 4.1 and figure 5')
def plateaus(outcomes):
  """The quadratic cost has clearly more severe plateaus than the
  cross-entropy.

  The flat share of the square is compared, quadratic less cross-entropy, by
  seed. Flat is where the slope is less than a tenth of the steepest: of another
  order of magnitude.

  Holds if the interval of the mean difference lies above 0, for all of the flat
  area and for that at a cost above the cost of having learned nothing.

  Untested if one of the two costs is not in the run.
  """
  low, high = (
    claims.one(outcomes, loss=loss).measured
    for loss in ('quadratic', 'cross_entropy')
  )
  holds, lines = True, []
  for field, words in (
    ('flat_share', 'flat'),
    ('plateau_share', 'flat at a high cost'),
  ):
    more = claims.mean(low[field] - high[field])
    holds &= bool(more.low > 0)
    lines.append(
      f'{words}: {low[field].mean():.1%} of the square against '
      f'{high[field].mean():.1%}, by {more:%}'
    )
  return claims.finding(holds, '; '.join(lines))


@claims.claim('figure 5, order', f'{SOURCE}, figure 5')
def order(outcomes):
  """The surface of the cross-entropy is on top, that of the quadratic cost at
  the bottom.

  The costs are compared at each point of each seed, for the same weights and
  signals.

  Holds if the cross-entropy is higher at every one, as follows from
  -log p > (1 - p)^2 for every 0 < p < 1. A cost that is not a number counts
  against it.

  Untested if one of the two costs is not in the run.
  """
  over, under = (
    claims.one(outcomes, loss=loss).measured['cost']
    for loss in ('cross_entropy', 'quadratic')
  )
  gap = over - under
  return claims.finding(
    gap.min() > 0,
    f'higher by {gap.min():.2g} to {gap.max():.2g} at the {gap[0].size} '
    f'points of {len(gap)} seeds',
  )


PANELS = (
  panels.Surface(
    'cost',
    'The cost over two weights (figure 5 of the paper)',
    'cost',
    extent='reach',
  ),
  panels.Seeds(
    'flat_share', 'How much of the square is flat', 'share of the square'
  ),
)
EXPERIMENT = experiment.of_module(__name__, defaults={'seeds': '0:200'})

if __name__ == '__main__':
  launch.main(EXPERIMENT)
