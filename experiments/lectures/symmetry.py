"""With a constant start all hidden units stay equal during training.

Question:
  What can a network learn from weights of one value, and what from random ones?
Paper:
  Andrew Ng, random initialization: equal weights compute equal features, for
  ever. Hugo Larochelle, parameter initialization: so do all constants.
Run:
  python -m experiments.lectures.symmetry --init=constant,random --depth=1,3
Takes:
  Under 40 seconds on two CPU cores (8 settings, 100 seeds of 1000 steps).
Expect:
  From a constant all hidden units of a layer stay equal, all matrices keep rank
  1, and the loss on xor stays above 0.4774 nats, the least of one hidden unit.
  Random starts solve it: nearly all with tanh, at least half with relu.
"""

import itertools
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, functions, initializers, keys
from initlab import launch, mlp, networks, optimizers, panels, stats, training
from initlab.experiment import PerLayer, PerNetwork, PerStep, knob

# The least loss on xor of a network with one hidden unit a layer and monotone
# nonlinearities. Its logits are monotone functions of t = w x, and as
# t(0,0) + t(1,1) = t(0,1) + t(1,0), the labels in the order of t are 0 1 1 0 or
# 1 0 0 1, ties aside, which only add constraints. A monotone probability does
# best on 0 1 1 0 with 0 for the first and 2/3 for the others: three examples
# of four at the entropy of 1/3. Saturated units come arbitrarily close.
SINGLE = 0.75 * (np.log(3) - 2 / 3 * np.log(2))
MONOTONE = (
  *('identity', 'sigmoid', 'tanh', 'lecun_tanh', 'softsign', 'relu'),
  *('leaky_relu', 'prelu', 'elu', 'selu', 'softplus'),
)
INITS = ('constant', 'random')
_ALIKE = 1e-12
_SOLVED = 0.1  # nats; one point that is wrong adds ln 2 / 4 = 0.17


@experiment.config
class Config:
  """A network, its initial weights, and its training on all four points."""

  dataset, examples, loss = 'xor', 4, 'cross_entropy'  # of every setting

  init: str = knob('constant', 'one number for all weights, or for each', INITS)
  scale: float = knob(1.0, 'of U(-scale, scale)', least=0, traced=True)
  activation: functions.Named = networks.activation_knob('tanh')
  depth: int = knob(1, 'the number of hidden layers', least=1, most=10**6)
  width: int = knob(4, 'units of a hidden layer', least=1, most=10**6)
  optimizer: str = knob('adam', 'the optimizer', optimizers.OPTIMIZERS)
  learning_rate: float = knob(0.03, 'of the optimizer', traced=True)
  steps: int = knob(1000, 'the number of steps', least=1, most=10**6)
  record_every: int = knob(50, 'steps between records', least=1, most=10**6)

  def draw(self, key):
    """Weights from U(-scale, scale), and biases of zero."""
    uniform = initializers.uniform(1.0)
    one = uniform(keys.stream(key, 'constant'), ())
    weight = lambda w: jnp.full_like(w, one) if self.init == 'constant' else w
    widths = 2, *(self.width,) * self.depth, 2
    params = mlp.init(keys.stream(key, 'init'), widths, uniform)
    scaled = lambda w: self.scale * weight(w).astype(float)
    return [base.Layer(scaled(w), b) for w, b in params]


SMOKE = Config(depth=2, steps=4, record_every=2)
SWEEP = {'init': INITS, 'activation': ('tanh', 'relu'), 'depth': (1, 3)}


class Result(NamedTuple):
  """The records; NaN after a seed diverges.

  mean_loss: mean loss of the four points, in nats.
  difference: of two hidden units of a layer in a weight or bias, at most.
  final_loss: after the last step.
  rank: of each final weight matrix: singular values above 1e-12 of the largest.
  """

  mean_loss: PerStep
  difference: PerStep
  final_loss: PerNetwork
  rank: PerLayer


load = networks.load('train')


def record(config: Config, network, batch, kept):
  """The loss, and the largest difference of two units of a layer."""
  del kept
  params = network.params
  loss = networks.objective(config)(params, batch)
  units = [
    jnp.concatenate([layer.w, layer.b[None], above.w.T])
    for layer, above in itertools.pairwise(params)
  ]
  ranks = [jnp.linalg.matrix_rank(layer.w, _ALIKE) for layer in params]
  return {
    'mean_loss': loss,
    'difference': jnp.max(jnp.concatenate([jnp.ptp(x, 1) for x in units])),
    'final_loss': loss,
    'rank': jnp.stack(ranks).astype(float),
  }


TRAINING = training.of_networks(Result, record, optimizer=optimizers.of_config)


def _solves(outcome):
  """Which seeds `[S]` solve the problem."""
  return outcome.measured['final_loss'] < _SOLVED


def verdict(outcome):
  """Whether units differ, and whether the network solves the problem."""
  difference, solves = outcome.measured['difference'].max(), _solves(outcome)
  share = stats.share(int(solves.sum()), len(solves))
  return [f'units differ by up to {difference:.2g}; {share:%} solve it']


SOURCE = 'Andrew Ng and Hugo Larochelle, on random initialization'


@claims.claim('lecture 3, alike', SOURCE)
def alike(outcomes):
  """From a constant all hidden units of a layer stay equal, to 1e-12, and all
  weight matrices of rank 1.

  Holds if at every record of every seed no weight or bias of two hidden units
  of a layer differs by more than 1e-12, and no matrix has a second singular
  value above 1e-12 of the first: the order of float64 sums may differ.

  Untested if constant starts are not in the run, or have one unit a layer.
  """
  found = claims.every(outcomes, init='constant')
  if min(each.config.width for each in found) < 2:
    raise claims.Untested('a single unit has no other to differ from')
  worst = np.max([each.measured['difference'].max() for each in found])
  ranks = np.max([each.measured['rank'].max() for each in found])
  evidence = f'largest difference {worst:.2g}, largest rank {ranks:g}'
  return claims.finding(worst <= _ALIKE and ranks <= 1, evidence)


@claims.claim('lecture 3, one unit', SOURCE)
def one_unit(outcomes):
  """Then the loss on xor never falls below that of one hidden unit.

  Holds if no loss from a constant is below 0.4774 nats, that of the best single
  unit, but for the 1e-7 by which float32 rounds a stored loss.

  Untested if no constant start has a monotone nonlinearity, or all diverge.
  """
  found = claims.every(outcomes, init='constant')
  found = [each for each in found if each.config.activation in MONOTONE]
  losses = [each.measured['mean_loss'].ravel() for each in claims.every(found)]
  least = np.fmin.reduce(np.concatenate(losses))
  if np.isnan(least):
    raise claims.Untested('all seeds diverge')
  evidence = f'lowest loss {least:.4f} nats, of a single unit {SINGLE:.4f}'
  return claims.finding(least >= SINGLE * (1 - 1e-7), evidence)


@claims.claim('lecture 3, random', SOURCE)
def random_starts(outcomes):
  """Random starts solve what no constant start solves.

  Holds if no constant start ends below 0.1 nats, and the intervals of the share
  of random starts that do lie above those of all constant ones.

  Untested if constant or random starts are not in the run.
  """
  share = lambda each: claims.share(_solves(each), len(outcomes))
  constant = list(map(share, claims.every(outcomes, init='constant')))
  random = list(map(share, claims.every(outcomes, init='random')))
  most = max(each.high for each in constant)
  holds = all(each.value == 0 for each in constant)
  holds &= all(each.low > most for each in random)
  evidence = ', '.join(f'{each:%}' for each in random)
  return claims.finding(holds, f'constant up to {most:.0%}, random {evidence}')


PANELS = (
  panels.Seeds(
    'final_loss',
    'Loss on xor at the end',
    'nats; a single hidden unit costs 0.48 or more',
  ),
  panels.Curves('difference', 'Unlike units', 'largest difference'),
)
EXPERIMENT = experiment.of_module(
  __name__, defaults={'seeds': '0:100', 'lanes': '50'}, dtype='float64'
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
