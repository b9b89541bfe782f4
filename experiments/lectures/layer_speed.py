"""Which layers learn first?

Question:
  If gradients are larger at the top of a network, does the top train faster?
Paper:
  Larochelle, Neural networks, "Training neural networks: parameter
  initialization" (after Glorot & Bengio, 2010, section 4.2).
Run:
  python -m experiments.lectures.layer_speed
Takes:
  20 seconds on two CPU cores (32 seeds of 50 steps, six settings).
Expect:
  With sigmoid units the gradient of the weights grows from layer to layer, and
  so does the relative change of the weights, if less steeply: after 50 steps
  the last hidden layer is 120 times ahead of the second under standard, and 30
  times under glorot. With tanh both are about the same in all layers (eq. 14).
"""

import itertools
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, functions, launch, networks
from initlab import panels, stats, training
from initlab.experiment import GEOMETRIC, PerLayer, PerNetwork, PerStepLayer
from initlab.experiment import knob, written


@experiment.config
class Config(networks.Network):
  """A network, and its training by gradient descent."""

  widths: tuple[int, ...] = knob((50,) * 5, 'the hidden widths', least=1)
  dataset: functions.Named = networks.dataset_knob('digits')
  learning_rate: float = knob(0.1, 'of gradient descent', above=0, traced=True)
  steps: int = knob(50, 'the number of steps', least=1)
  examples: int = knob(300, 'training examples, all in every step', least=1)

  def check(self):
    """Refuses fewer than three hidden layers."""
    super().check()
    if len(self.layer_widths()) < 5:
      where = f'--widths={written(self.widths)}'
      raise base.UserError(f'{where}: three hidden layers or more')


SMOKE = Config(widths=(4, 3, 3), dataset='xor', examples=4, steps=10)
SWEEP = {
  'activation': ('sigmoid', 'tanh'),
  'init': ('standard', 'glorot', 'orthogonal'),
}


class Result(NamedTuple):
  """Frobenius norms, relative to those of the initial weights w_0.

  change: |w - w_0| / |w_0|; NaN at step 0.
  final_change: after the last step.
  gradient: |dC/dw| / |w_0| before the first step.
  change_ratio, gradient_ratio: of the last hidden layer to the second, which
    both take their inputs from hidden units.
  """

  change: Annotated[PerStepLayer, GEOMETRIC]
  final_change: Annotated[PerLayer, GEOMETRIC]
  gradient: Annotated[PerLayer, GEOMETRIC]
  change_ratio: Annotated[PerNetwork, GEOMETRIC]
  gradient_ratio: Annotated[PerNetwork, GEOMETRIC]


load = networks.load('train')


def before(config: Config, key, params, batch):
  """The initial weights and their gradient."""
  del key
  weights = [layer.w for layer in params]
  found = networks.probed(config, params, batch, ['gradient_norm'])
  gradient = found['gradient_norm'] / _norms(weights)
  ratio = gradient[-2] / gradient[1]
  return {'weights': weights, 'gradient': gradient, 'gradient_ratio': ratio}


def record(config: Config, network, batch, kept):
  """The relative change of the weights."""
  del config, batch
  pairs = zip(network.params, kept['weights'], strict=True)
  change = _norms([layer.w - w for layer, w in pairs]) / _norms(kept['weights'])
  change = jnp.where(jnp.isfinite(network.mean_loss), change, jnp.nan)
  ratio = change[-2] / change[1]
  return {'change': change, 'final_change': change, 'change_ratio': ratio}


def _norms(weights):
  return jnp.stack([jnp.linalg.norm(w) for w in weights])


TRAINING = training.of_networks(
  Result, record, before=before, every=lambda config: max(1, config.steps // 10)
)


def verdict(outcome):
  """The ratios of changes and of gradients, last to second hidden layer."""
  change, gradient = (
    stats.geometric_mean(outcome.measured[field])
    for field in ('change_ratio', 'gradient_ratio')
  )
  return [
    f'after {outcome.config.steps} steps the last hidden layer has changed by '
    f'{change} times as much of itself as the second; its gradient was '
    f'{gradient} times as large at first'
  ]


SOURCE = 'Hugo Larochelle, Neural networks, lesson "Parameter initialization"'


@claims.claim('lecture 11, faster', SOURCE)
def faster(outcomes):
  """If gradients are larger at the top, the top trains faster.

  The last hidden layer is held against the second. Larger is taken to mean
  twice as large: layers of the same width differ by less between draws.

  Holds if wherever the interval of the ratio of gradients lies above 2, that of
  the ratio of changes does, too; and wherever the former lies between 1/2 and
  2, so does the latter: being the top is not enough.

  Untested if the run has no setting of the first or of the second kind;
  settings of neither kind do not count.
  """

  def ratio(outcome, field):
    values = outcome.measured[field]
    return claims.ratio(values, np.ones(len(values)), len(outcomes))

  pairs = [
    (ratio(each, 'gradient_ratio'), ratio(each, 'change_ratio'))
    for each in outcomes
  ]
  steep = [change for gradient, change in pairs if gradient.low > 2]
  level = [change for gradient, change in pairs if gradient.within(0.5, 2)]
  if not (steep and level):
    raise claims.Untested('no setting has steep gradients, or none level ones')
  told = [
    f'{each.label}: gradient x {gradient}, change x {change}'
    for each, (gradient, change) in zip(outcomes, pairs, strict=True)
  ]
  holds = all(each.low > 2 for each in steep)
  holds &= all(each.within(0.5, 2) for each in level)
  return claims.finding(holds, '; '.join(told))


@claims.claim('lecture 11, in order', SOURCE)
def in_order(outcomes):
  """The larger the initial gradient ratio, the larger the ratio of changes.

  Holds if of all pairs whose ratios of gradients differ, the interval of the
  quotient, paired by seed, lying above 1, the ratios of changes differ in the
  same direction. The quotients of all pairs cover together, since it is by them
  that pairs are chosen.

  Untested if no two settings differ in their ratio of gradients.
  """
  pairs = list(itertools.permutations(outcomes, 2))

  def larger(one, other, field):
    one, other = one.measured[field], other.measured[field]
    return claims.ratio(one, other, len(pairs)).low > 1

  ordered = [pair for pair in pairs if larger(*pair, 'gradient_ratio')]
  if not ordered:
    raise claims.Untested('no two settings differ in their ratio of gradients')
  held = [larger(*pair, 'change_ratio') for pair in ordered]
  against = [
    f'{one.label} and {other.label}'
    for (one, other), same in zip(ordered, held, strict=True)
    if not same
  ]
  text = f'{sum(held)} of {len(held)} pairs of settings in that order'
  exceptions = f', but for {"; ".join(against)}' if against else ''
  return claims.finding(not against, text + exceptions)


_CHANGE = '|w - w_0| / |w_0|'
PANELS = (
  panels.Depth('gradient', 'Initial gradient', '|dC/dw| / |w|', log=True),
  panels.Depth('final_change', 'Change of the weights', _CHANGE, log=True),
  panels.Curves('change', 'Change, layer by layer', _CHANGE, log=True),
  panels.Seeds('change_ratio', 'Last layer over second', 'ratio', log=True),
)
EXPERIMENT = experiment.of_module(__name__)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
