"""The cost as a function of two weights: where it is flat.

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
  The cross-entropy lies above and goes on rising where the network is wrong and
  sure of it; the quadratic cost levels off there. A tenth of its steepest slope
  is not reached on 42% of the square, against 22%.
"""

from collections.abc import Callable, Sequence
import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, keys, launch, stats
from initlab.experiment import (
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  PerNetworkSample,
  knob,
  of_module,
)

from . import claims_start


def cross_entropy(output: base.Array, target: base.Array) -> base.Array:
  """-log P(t | x) in nats, P(1 | x) the sigmoid of the output."""
  return jax.nn.softplus(output) - target * output


def quadratic(output: base.Array, target: base.Array) -> base.Array:
  """(P(1 | x) - t)^2."""
  return (jax.nn.sigmoid(output) - target) ** 2


_LOSSES: dict[str, Callable[[base.Array, base.Array], base.Array]] = {
  'cross_entropy': cross_entropy,
  'quadratic': quadratic,
}


@dataclasses.dataclass(frozen=True)
class Config:
  """A network of two weights, and the random signals that it is to learn."""

  loss: str = knob('cross_entropy', 'the cost of an example', _LOSSES)
  examples: int = knob(20, 'how many inputs and targets')
  reach: float = knob(5.0, 'both weights go from minus this to this')
  grid: int = knob(41, 'values of each weight, evenly spaced')
  flat: float = knob(
    0.1, 'a plateau has less than this share of the steepest slope'
  )

  def __post_init__(self):
    for name, least in (('examples', 1), ('grid', 2)):
      if getattr(self, name) < least:
        raise base.UserError(
          f'--{name}={getattr(self, name)}: at least {least}'
        )
    if not 0 < self.reach < np.inf:
      raise base.UserError(f'--reach={self.reach}: above 0')
    if not 0 < self.flat < 1:
      raise base.UserError(f'--flat={self.flat}: between 0 and 1')


SMOKE = Config(grid=5, examples=3)


class Result(NamedTuple):
  """Over the square of the two weights.

  cost: `[grid^2]`, a row a value of the first weight.
  flat_share: of the square where the slope |dC/d(W1, W2)| is less than `flat`
    times the steepest.
  plateau_share: of the square where it is so and the cost is above that of
    both weights zero: flat, and worse than having learned nothing.
  median_slope: over the steepest.
  """

  cost: PerNetworkSample
  flat_share: PerNetwork
  plateau_share: PerNetwork
  median_slope: PerNetwork


def load(config: Config, data_dir: str) -> None:
  """Nothing: the signals are drawn."""
  del config, data_dir


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


def parameters(config: Config) -> int:
  """How many costs a seed holds at once."""
  return config.grid**2 * config.examples


def verdict(outcome: Outcome) -> list[str]:
  """How much of the square is flat."""
  told = lambda field: claims.told(stats.mean(outcome.measured[field]), '%')
  return [
    f'flatter than {outcome.config.flat:g} of the steepest: '
    f'{told("flat_share")} of the square; {told("plateau_share")} of it is so '
    'where the cost is above that of weights zero',
    f'median slope {told("median_slope")} of the steepest',
  ]


def _more_severe(outcomes: Sequence[Outcome]) -> Finding:
  """The flat share of the square, quadratic less cross-entropy, by seed.

  Flat is where the slope is less than a tenth of the steepest: of another order
  of magnitude.

  Holds if the interval of the mean difference lies above 0, for all of the flat
  area and for that at a cost above the cost of having learned nothing.

  Untested if one of the two costs is not in the run.
  """
  one = {
    loss: claims.one(outcomes, loss=loss).measured
    for loss in ('quadratic', 'cross_entropy')
  }
  holds, lines = True, []
  for field, words in (
    ('flat_share', 'flat'),
    ('plateau_share', 'flat at a high cost'),
  ):
    quadratic, cross_entropy = (each[field] for each in one.values())
    more = claims.mean(quadratic - cross_entropy)
    holds &= bool(more.low > 0)
    lines.append(
      f'{words}: {quadratic.mean():.1%} of the square against '
      f'{cross_entropy.mean():.1%}, by {claims.told(more, "%")}'
    )
  return claims.finding(holds, '; '.join(lines))


def _above(outcomes: Sequence[Outcome]) -> Finding:
  """The costs at each point of each seed, with the same weights and signals.

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
  Panel(
    'cost',
    'The cost over two weights (figure 5 of the paper)',
    'cost',
    'surface',
    over='reach',
  ),
  Panel(
    'flat_share',
    'How much of the square is flat',
    'share of the square',
    'seeds',
  ),
)

CLAIMS = (
  Claim(
    'figure 5, plateaus',
    'The quadratic cost has clearly more severe plateaus than the '
    'cross-entropy.',
    f'{claims_start.SOURCE}, section 4.1 and figure 5',
    _more_severe,
  ),
  Claim(
    'figure 5, order',
    'The surface of the cross-entropy is on top, that of the quadratic cost '
    'at the bottom.',
    f'{claims_start.SOURCE}, figure 5',
    _above,
  ),
)

EXPERIMENT = of_module(
  __name__,
  parameters=parameters,
  defaults={'loss': 'cross_entropy,quadratic', 'seeds': '0:200'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
