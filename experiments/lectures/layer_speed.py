"""Which layers learn first.

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

from collections.abc import Sequence
import dataclasses
import functools
import itertools
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import (
  activations,
  base,
  claims,
  datasets,
  launch,
  losses,
  minibatches,
  mlp,
  networks,
  optimizers,
  probes,
  stats,
  training,
)
from initlab.experiment import (
  GEOMETRIC,
  Claim,
  Finding,
  Outcome,
  Panel,
  PerLayer,
  PerNetwork,
  PerStepLayer,
  Training,
  knob,
  of_module,
  written,
)

Numbers = dict[str, base.Array]


@dataclasses.dataclass(frozen=True)
class Config(networks.Network):
  """One network, and how it is trained: by gradient descent."""

  widths: tuple[int, ...] = knob(
    (50,) * 5, 'the hidden widths: 1000x5, or 500-1000-500'
  )
  dataset: str = knob(
    'digits', 'where inputs and labels come from', datasets.DATASETS
  )
  learning_rate: float = knob(0.1, 'of gradient descent')
  steps: int = knob(50, 'how many steps are taken')
  examples: int = knob(300, 'training examples, all taken at every step')

  def __post_init__(self):
    super().__post_init__()
    if len(self.layer_widths()) < 5:
      raise base.UserError(
        f'--widths={written(self.widths)}: three hidden layers or more'
      )
    for name in ('learning_rate', 'steps', 'examples'):
      if not 0 < getattr(self, name) <= 2**24:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: above 0, at most {2**24}')


SMOKE = Config(widths=(4, 3, 3), dataset='xor', examples=4, steps=10)


class Result(NamedTuple):
  """Sizes are Frobenius norms, relative to those of the weights at first.

  change: |w - w_0| / |w_0|, w_0 the weights before training; NaN at step 0.
  final_change: after the last step.
  gradient: |dC/dw| / |w_0| before the first step.
  change_ratio, gradient_ratio: of the last hidden layer to the second, which
    both take their inputs from hidden units.
  diverged_step, last_cost: see `base.DIVERGENCE`.
  """

  change: Annotated[PerStepLayer, GEOMETRIC]
  final_change: Annotated[PerLayer, GEOMETRIC]
  gradient: Annotated[PerLayer, GEOMETRIC]
  change_ratio: Annotated[PerNetwork, GEOMETRIC]
  gradient_ratio: Annotated[PerNetwork, GEOMETRIC]
  diverged_step: PerNetwork
  last_cost: PerNetwork


class State(NamedTuple):
  """A network in training, and what is remembered of its beginning."""

  network: training.State
  weights: tuple[base.Array, ...]
  gradient: base.Array


def load(config: Config, data_dir: str) -> base.Batch:
  """The first training examples."""
  dataset = datasets.DATASETS[config.dataset]
  return dataset.split('train', config.examples, data_dir)


def start(
  config: Config, numbers: Numbers, key: base.Key, data: base.Batch
) -> State:
  """Draws one network and looks at its gradients."""
  params = networks.draw(config, key, config.knobs(), config.bias)
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example
  signals = mlp.signals(params, data, activation, loss)
  weights = tuple(layer.w for layer in params)
  gradient = probes.gradient_norm(params, activation, signals)
  network = training.start(params, optimizers.descent(numbers['learning_rate']))
  return State(network, weights, gradient / _norms(weights))


def advance(
  config: Config,
  numbers: Numbers,
  key: base.Key,
  data: base.Batch,
  state: State,
  first: base.Array,
  last: base.Array,
) -> State:
  """Takes the steps first, ..., last - 1."""
  del key
  activation = activations.resolve(config.activation)
  loss = losses.LOSSES[config.loss].per_example
  network = training.advance(
    training.objective(activation, loss),
    optimizers.descent(numbers['learning_rate']),
    minibatches.whole(data),
    state.network,
    first,
    last,
    every=1,
  )
  return state._replace(network=network)


def record(config: Config, data: base.Batch, state: State) -> Result:
  """How far the weights have come."""
  del config, data
  network, weights, gradient = state
  moves = [
    layer.w - w for layer, w in zip(network.params, weights, strict=True)
  ]
  alive = network.diverged_step < 0
  begun = alive & jnp.isfinite(network.mean_cost)
  change = jnp.where(begun, _norms(moves) / _norms(weights), jnp.nan)
  step = network.diverged_step.astype(jnp.float32)
  return Result(
    change=change,
    final_change=change,
    gradient=gradient,
    change_ratio=change[-2] / change[1],
    gradient_ratio=gradient[-2] / gradient[1],
    diverged_step=jnp.where(alive, jnp.nan, step),
    last_cost=network.last_cost,
  )


def _norms(weights: Sequence[base.Array]) -> base.Array:
  return jnp.stack([jnp.linalg.norm(w) for w in weights])


TRAINING = Training(
  program=lambda config: dataclasses.replace(config, learning_rate=1.0),
  numbers=lambda config: {'learning_rate': config.learning_rate},
  steps=lambda config: training.recorded_steps(
    config.steps, max(1, config.steps // 10)
  ),
  start=start,
  advance=advance,
  record=record,
)


def verdict(outcome: Outcome) -> list[str]:
  """How much faster the top trains, and how much larger its gradient is."""
  change, gradient = _ratios(outcome)
  return [
    f'after {outcome.config.steps} steps the last hidden layer has changed by '
    f'{claims.told(change)} times as much of itself as the second; its '
    f'gradient was {claims.told(gradient)} times as large at first'
  ]


def _ratios(outcome: Outcome) -> tuple[stats.Estimate, stats.Estimate]:
  return (
    stats.geometric_mean(outcome.measured['change_ratio']),
    stats.geometric_mean(outcome.measured['gradient_ratio']),
  )


def _more(one: Outcome, other: Outcome, field: str, cells: int):
  """By what factor the ratio of one setting exceeds that of another."""
  return claims.ratio(one.measured[field], other.measured[field], cells)


def check_faster(outcomes: Sequence[Outcome]) -> Finding:
  """The last hidden layer against the second: gradient first, change after.

  Larger is taken to say twice as large: layers of the same width differ by less
  from one draw to the next.

  Holds if wherever the interval of the ratio of gradients lies above 2, that of
  the ratio of changes does, too; and wherever the former lies between 1/2 and
  2, so does the latter: it does not take the top's being the top.

  Untested if the run has no setting of the first or of the second kind;
  settings of neither kind do not count.
  """
  holds, parts, steep, level = True, [], 0, 0
  cells = max(1, len(outcomes))
  for outcome in outcomes:
    ones = np.ones(len(outcome.seeds))
    change, gradient = (
      claims.ratio(outcome.measured[field], ones, cells)
      for field in ('change_ratio', 'gradient_ratio')
    )
    if gradient.low > 2:
      steep += 1
      holds &= bool(change.low > 2)
    elif gradient.low > 0.5 and gradient.high < 2:
      level += 1
      holds &= bool((change.low > 0.5) & (change.high < 2))
    parts.append(
      f'{outcome.label}: gradient x {claims.told(gradient)}, change x '
      f'{claims.told(change)}'
    )
  if not (steep and level):
    raise claims.Untested(
      'gradients are not twice as large at the top in some settings and alike '
      'in others'
    )
  return claims.finding(holds, '; '.join(parts))


def check_follows(outcomes: Sequence[Outcome]) -> Finding:
  """Of two settings, whether the one of the larger gradient ratio changes more.

  The ratios themselves are alike after one step only: the output learns how
  frequent the classes are, and the gradients of the first steps are gone.

  Holds if of all pairs whose ratios of gradients differ, the interval of the
  quotient, paired by seed, lying above 1, the ratios of changes differ in the
  same direction. The quotients of all pairs cover together, since it is by them
  that pairs are chosen.

  Untested if no two settings differ in their ratio of gradients.
  """
  pairs, against = 0, []
  cells = max(1, len(outcomes) * (len(outcomes) - 1))
  for one, other in itertools.permutations(outcomes, 2):
    if _more(one, other, 'gradient_ratio', cells).low > 1:
      pairs += 1
      if not _more(one, other, 'change_ratio', cells).low > 1:
        against.append(f'{one.label} and {other.label}')
  if not pairs:
    raise claims.Untested('no two settings differ in their ratio of gradients')
  exponents = [
    np.log(change.value) / np.log(gradient.value)
    for change, gradient in map(_ratios, outcomes)
    if gradient.low > 2
  ]
  text = f'{pairs - len(against)} of {pairs} pairs of settings in that order'
  if against:
    text += f', but for {"; ".join(against)}'
  if exponents:
    text += (
      f'; where the top is ahead, by the ratio of gradients to the power of '
      f'{min(exponents):.2f} to {max(exponents):.2f}'
    )
  return claims.finding(not against, text)


_SOURCE = 'Hugo Larochelle, Neural networks, lesson "Parameter initialization"'
CLAIMS = (
  Claim(
    'lecture 11, faster',
    'If gradients are larger at the top, the top trains faster.',
    _SOURCE,
    check_faster,
  ),
  Claim(
    'lecture 11, in order',
    'The larger the ratio of the gradients before training, the larger the '
    'ratio of the changes.',
    _SOURCE,
    check_follows,
  ),
)

PANELS = (
  Panel(
    'gradient',
    'Gradient of the weights before training',
    '|dC/dw| / |w|',
    log=True,
  ),
  Panel(
    'final_change',
    'How far the weights have come',
    '|w - w_0| / |w_0|',
    log=True,
  ),
  Panel(
    'change',
    'Change of the weights, layer by layer',
    '|w - w_0| / |w_0|',
    'curve',
    log=True,
  ),
  Panel(
    'change_ratio',
    'Last hidden layer to second: change',
    'ratio of relative changes',
    'seeds',
    log=True,
  ),
)


EXPERIMENT = of_module(
  __name__,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=networks.parameters,
  defaults={'activation': 'sigmoid,tanh', 'init': 'standard,glorot,orthogonal'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
