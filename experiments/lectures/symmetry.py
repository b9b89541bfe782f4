"""A constant start makes all hidden units alike, and training keeps them so.

Question:
  What can a network learn whose weights all start from one value, and what one
  whose weights start at random?
Paper:
  Andrew Ng, random initialization: equal weights compute equal features, for
  ever. Hugo Larochelle, parameter initialization: so do all constants.
Run:
  python -m experiments.lectures.symmetry --init=constant,random --depth=1,3
Takes:
  Under 40 seconds on two CPU cores (2 starts, 2 nonlinearities, 1 or 3 hidden
  layers, 100 seeds of 1000 steps each).
Expect:
  From any constant all hidden units of a layer stay equal, every matrix keeps
  rank 1, and the cost on xor stays above 0.4774 nats, the least of a network
  with one hidden unit. Random starts solve it: nearly all with tanh, half of
  them or more with relu.
"""

from collections.abc import Sequence
import dataclasses
import functools
import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
  functions,
  initializers,
  keys,
  launch,
  losses,
  minibatches,
  mlp,
  networks,
  optimizers,
  stats,
  training,
)
from initlab.experiment import (
  Claim,
  Finding,
  Outcome,
  Panel,
  PerLayer,
  PerNetwork,
  PerStep,
  Training,
  knob,
  of_module,
)

# The least cost on xor of a network with one hidden unit a layer and monotone
# nonlinearities. Its logits are monotone functions of t = w x, and as
# t(0,0) + t(1,1) = t(0,1) + t(1,0), the labels in the order of t are 0 1 1 0 or
# 1 0 0 1, ties aside, which only bind it further. A monotone probability does
# best on 0 1 1 0 with 0 for the first and 2/3 for the others: three examples
# of four at the entropy of 1/3. Saturated units come as near as one likes.
SINGLE = 0.75 * (np.log(3) - 2 / 3 * np.log(2))
MONOTONE = (
  *('identity', 'sigmoid', 'tanh', 'lecun_tanh', 'softsign', 'relu'),
  *('leaky_relu', 'prelu', 'elu', 'selu', 'softplus'),
)

_ALIKE = 1e-12
# Where the cost is below this, no point can be wrong: it alone would cost ln 2
# / 4 = 0.17 nats.
_SOLVED = 0.1


@dataclasses.dataclass(frozen=True)
class Config:
  """A network, where it starts, and how it is trained on all four points."""

  init: str = knob(
    'constant',
    'constant draws one number a seed, which all weights start from, random '
    'one for every weight',
    ('constant', 'random'),
  )
  scale: float = knob(1.0, 'the numbers are drawn from U(-scale, scale)')
  activation: functions.Named = networks.activation_knob('tanh')
  depth: int = knob(1, 'how many hidden layers')
  width: int = knob(4, 'how many units a hidden layer has')
  optimizer: str = knob('adam', 'takes the steps', optimizers.OPTIMIZERS)
  learning_rate: float = knob(0.03, 'of the optimizer')
  steps: int = knob(1000, 'how many steps are taken')
  record_every: int = knob(50, 'steps from one record to the next')

  def __post_init__(self):
    least = {'scale': 0, 'depth': 1, 'width': 1, 'steps': 1, 'record_every': 1}
    for name, bound in least.items():
      if not bound <= getattr(self, name) <= 10**6:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: from {bound} to 1000000')

  def layer_widths(self) -> tuple[int, ...]:
    """`n_0, ..., n_L`."""
    return (2, *(self.width,) * self.depth, 2)


SMOKE = Config(depth=2, steps=4, record_every=2)


class Result(NamedTuple):
  """What is recorded; NaN from where a seed diverges.

  cost: mean over the four points, in nats.
  difference: between two hidden units of a layer, in a weight or bias that
    comes in or a weight that goes out: the largest.
  final_cost: after the last step.
  rank: of each weight matrix at the end: how many singular values are above
    1e-12 times the largest.
  """

  cost: PerStep
  difference: PerStep
  final_cost: PerNetwork
  rank: PerLayer


def load(config: Config, data_dir: str) -> base.Batch:
  """The four points of the exclusive or."""
  del config
  return datasets.DATASETS['xor'].split('train', None, data_dir)


def start(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: base.Batch,
) -> training.State:
  """Draws one network; the biases are zero."""
  del data
  uniform, share = initializers.uniform(1.0), numbers['random']
  drawn = mlp.init(keys.stream(key, 'init'), config.layer_widths(), uniform)
  one = uniform(keys.stream(key, 'constant'), (), jnp.float32).astype(float)

  def scaled(w: base.Array) -> base.Array:
    return numbers['scale'] * (share * w.astype(float) + (1 - share) * one)

  params = tuple(base.Layer(scaled(w), b.astype(float)) for w, b in drawn)
  return training.start(params, _optimizer(config, numbers))


def advance(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: base.Batch,
  state: training.State,
  first: base.Array,
  last: base.Array,
) -> training.State:
  """Takes the steps first, ..., last - 1."""
  del key
  return training.advance(
    _objective(config),
    _optimizer(config, numbers),
    minibatches.whole(data._replace(x=data.x.astype(float))),
    state,
    first,
    last,
    every=config.record_every,
  )


def record(config: Config, data: base.Batch, state: training.State) -> Result:
  """Looks at one network."""
  batch = data._replace(x=data.x.astype(float))
  cost = _objective(config)(state.params, batch)
  pairs = zip(state.params[:-1], state.params[1:], strict=True)
  units = [_unlike(layer, above) for layer, above in pairs]
  ranks = [_rank(layer.w) for layer in state.params]
  alive = state.diverged_step < 0
  measured = cost, jnp.max(jnp.stack(units)), cost, jnp.stack(ranks)
  return Result(*(jnp.where(alive, each, jnp.nan) for each in measured))


def _unlike(layer: base.Layer, above: base.Layer) -> base.Array:
  """How much two units of a layer differ in a weight or bias, at most."""
  units = jnp.concatenate([layer.w, layer.b[None], above.w.T])
  return jnp.max(jnp.max(units, 1) - jnp.min(units, 1))


def _rank(w: base.Array) -> base.Array:
  values = jnp.linalg.svd(w, compute_uv=False)
  return jnp.sum((values > _ALIKE * values[0]).astype(w.dtype))


def _objective(config: Config) -> training.Objective:
  activation = activations.resolve(config.activation)
  return training.objective(activation, losses.cross_entropy)


def _optimizer(config: Config, numbers: dict[str, base.Array]):
  rate = numbers['learning_rate']
  return optimizers.optimizer(config.optimizer, 'constant', rate, config.steps)


TRAINING = Training(
  program=lambda config: dataclasses.replace(
    config, init='constant', scale=0.0, learning_rate=0.0
  ),
  numbers=lambda config: {
    'random': float(config.init == 'random'),
    'scale': config.scale,
    'learning_rate': config.learning_rate,
  },
  steps=lambda config: training.recorded_steps(
    config.steps, config.record_every
  ),
  start=start,
  advance=advance,
  record=record,
)


def _solves(outcome: Outcome) -> np.ndarray:
  """Which seeds `[S]` solve the problem."""
  return outcome.measured['final_cost'] < _SOLVED


def verdict(outcome: Outcome) -> list[str]:
  """Do its units differ, and does it solve the problem?"""
  measured, solves = outcome.measured, _solves(outcome)
  solved = stats.share(int(solves.sum()), len(solves))
  return [
    f'units differ by at most {measured["difference"].max():.2g}; lowest cost '
    f'{measured["cost"].min():.4f} nats, of a single unit {SINGLE:.4f}; '
    f'{claims.told(solved, "%")} of seeds solve it'
  ]


# Claims.


def _alike(outcomes: Sequence[Outcome]) -> Finding:
  """How far two units of a layer differ, at every record of every seed.

  Holds if no weight or bias of two hidden units of a layer differs by more than
  1e-12, and no matrix has a second singular value above 1e-12 of the first:
  units that compute the same may differ by the order of float64 sums alone.

  Untested if constant starts are not in the run, or have one unit a layer.
  """
  found = claims.every(outcomes, init='constant')
  if min(each.config.width for each in found) < 2:
    raise claims.Untested('a single unit has no other to differ from')
  worst = np.max([each.measured['difference'].max() for each in found])
  ranks = np.max([each.measured['rank'].max() for each in found])
  return claims.finding(
    worst <= _ALIKE and ranks <= 1,
    f'{len(found)} settings of up to {max(each.steps[-1] for each in found)} '
    f'steps: largest difference {worst:.2g}, largest rank {ranks:g}',
  )


def _no_better(outcomes: Sequence[Outcome]) -> Finding:
  """The lowest cost of all records of all constant starts.

  Holds if it is not below that of the best network of one hidden unit, 0.4774
  nats as derived above, up to the 1e-7 that float32 rounds a stored cost by.

  Untested if no constant start with a monotone nonlinearity is in the run, or
  all of them diverge.
  """
  found = [
    each
    for each in claims.every(outcomes, init='constant')
    if each.config.activation in MONOTONE
  ]
  if not found:
    raise claims.Untested('no monotone nonlinearity in this run')
  costs = np.concatenate([each.measured['cost'].ravel() for each in found])
  if np.isnan(costs).all():
    raise claims.Untested('all seeds diverge')
  least = np.nanmin(costs)
  return claims.finding(
    least >= SINGLE * (1 - 1e-7),
    f'lowest cost {least:.4f} nats, the least of a single unit {SINGLE:.4f}',
  )


def _random(outcomes: Sequence[Outcome]) -> Finding:
  """The shares of seeds that solve the problem, below 0.1 nats.

  Holds if no constant start solves it, and the interval of the share of random
  starts lies above those of all constant ones, for every nonlinearity and
  depth.

  Untested if constant or random starts are not in the run.
  """
  share = lambda each: claims.share(_solves(each), len(outcomes))
  constant = list(map(share, claims.every(outcomes, init='constant')))
  found = claims.every(outcomes, init='random')
  shares = {each.label: share(each) for each in found}
  told = [f'{name} {claims.told(x, "%")}' for name, x in shares.items()]
  above = max(share.high for share in constant)
  return claims.finding(
    max(share.value for share in constant) == 0
    and all(share.low > above for share in shares.values()),
    f'no constant start solves it (share at most {above:.0%}); of random '
    f'starts, {"; ".join(told)}',
  )


_SOURCES = 'Andrew Ng and Hugo Larochelle, on random initialization'

CLAIMS = (
  Claim(
    'lecture 3, alike',
    'From a constant all hidden units of a layer stay equal, to 1e-12, and all '
    'weight matrices of rank 1.',
    _SOURCES,
    _alike,
  ),
  Claim(
    'lecture 3, one unit',
    'Then the cost on xor never falls below that of one hidden unit.',
    _SOURCES,
    _no_better,
  ),
  Claim(
    'lecture 3, random',
    'Random starts solve what no constant start solves.',
    _SOURCES,
    _random,
  ),
)

PANELS = (
  Panel(
    'final_cost',
    'Cost on xor at the end',
    'nats; a single hidden unit costs 0.48 or more',
    'seeds',
  ),
  Panel('difference', 'Unlike units', 'largest difference', 'curve'),
)

EXPERIMENT = of_module(
  __name__,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=lambda config: sum(
    (a + 1) * b for a, b in itertools.pairwise(config.layer_widths())
  ),
  defaults={
    'init': 'constant,random',
    'activation': 'tanh,relu',
    'depth': '1,3',
    'seeds': '0:100',
    'lanes': '50',
  },
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
