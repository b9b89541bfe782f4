"""How small, and how large, random initial weights may be.

Question:
  Symmetry is broken by random values in [-epsilon, epsilon]. Over how many
  decades may epsilon lie, before training stalls or units saturate?
Paper:
  Ng, Machine Learning (Stanford, Coursera), "Random initialization":
  Theta1 = rand(10,11)*(2*INIT_EPSILON) - INIT_EPSILON.
Run:
  python -m experiments.lectures.init_scale
Takes:
  20 seconds on two CPU cores (32 seeds of 2000 steps, 11 values of epsilon).
Expect:
  A U over five decades. The exclusive or of two of ten inputs is solved within
  200 steps from 0.1 to 3. At 0.001 the gradient is too small for any seed to
  solve it in 2000 steps; at 30 almost all units are saturated, and none does.
"""

from collections.abc import Sequence
import dataclasses
import functools
import itertools
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from initlab import (
  activations,
  base,
  claims,
  functions,
  initializers,
  keys,
  launch,
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
  PerNetwork,
  Training,
  knob,
  of_module,
)

Numbers = dict[str, base.Array]
# A network in training, and those fields of Result that tell how it began.
State = tuple[training.Timed, Numbers]

WIDTHS = (10, 10, 10, 1)
_TRACED = ('epsilon', 'learning_rate')
_ONES = dict.fromkeys(_TRACED, 1.0)
_EXAMPLES = 64
_SOLVED = 0.1  # nats an example; an even guess costs ln 2
_SIZE = (WIDTHS[0] + 1) * WIDTHS[1]  # numbers in Theta1, its biases included


@dataclasses.dataclass(frozen=True)
class Config:
  """The lecture's network, 10-10-10-1, and how it is trained."""

  epsilon: float = knob(
    0.1, 'weights and biases are uniform in [-epsilon, epsilon)'
  )
  activation: functions.Named = networks.activation_knob('tanh')
  learning_rate: float = knob(0.5, 'of gradient descent')
  steps: int = knob(2000, 'after which a seed counts as not solved')

  def __post_init__(self):
    for name in ('epsilon', 'learning_rate', 'steps'):
      if not 0 < getattr(self, name) <= 2**24:
        value = getattr(self, name)
        raise base.UserError(f'--{name}={value}: above 0, at most {2**24}')


SMOKE = Config(steps=5)


class Result(NamedTuple):
  """What becomes of a network, and how it began.

  steps_to_solve: until the training cost is below 0.1 nats; of a seed that is
    not there in time, all steps there are.
  solved: 1 for a seed that is, else 0.
  largest, mean, variance: of the numbers in Theta1, the first in size.
  gradient_norm: |dC/dTheta1| before the first step, biases left out.
  saturated: share of hidden units and examples, before the first step.
  diverged_step, last_cost: see `base.DIVERGENCE`.
  """

  steps_to_solve: PerNetwork
  solved: PerNetwork
  largest: PerNetwork
  mean: PerNetwork
  variance: PerNetwork
  gradient_norm: Annotated[PerNetwork, GEOMETRIC]
  saturated: PerNetwork
  diverged_step: PerNetwork
  last_cost: PerNetwork


def load(config: Config, data_dir: str) -> base.Batch:
  """Examples x in {-1, 1}^10, y the exclusive or of the first two: a fact."""
  del config, data_dir
  key = keys.stream(keys.root(0), 'exclusive or of two in ten')
  shape = _EXAMPLES, WIDTHS[0]
  x = jax.random.rademacher(key, shape, jnp.float32)
  return base.Batch(x, (x[:, 0] != x[:, 1]).astype(jnp.int32))


def logistic(logits: base.Array, label: base.Array) -> base.Array:
  """The cost of an example of two classes and one output, in nats."""
  label = label.astype(logits.dtype)
  return optax.sigmoid_binary_cross_entropy(logits[0], label)


def draw(key: base.Key, epsilon: base.Array) -> base.Params:
  """Every Theta, `[n_in + 1, n_out]`, its first row the biases."""
  initializer = initializers.ng_epsilon(epsilon)
  thetas = [
    initializer(keys.at(key, index), (n_in + 1, n_out), jnp.float32)
    for index, (n_in, n_out) in enumerate(itertools.pairwise(WIDTHS), 1)
  ]
  return tuple(base.Layer(theta[1:], theta[0]) for theta in thetas)


def start(
  config: Config, numbers: Numbers, key: base.Key, data: base.Batch
) -> State:
  """Draws one network and looks at it."""
  params = draw(keys.stream(key, 'init'), numbers['epsilon'])
  activation = activations.resolve(config.activation)
  signals = mlp.signals(params, data, activation, logistic)
  look = lambda name: probes.PROBES[name](params, activation, signals)
  theta = jnp.concatenate([params[0].b, params[0].w.ravel()])
  born = {
    'largest': jnp.max(jnp.abs(theta)),
    'mean': jnp.mean(theta),
    'variance': jnp.mean(theta**2),
    'gradient_norm': look('gradient_norm')[0],
    'saturated': jnp.mean(look('saturated')[:-1]),
  }
  network = training.start(params, optimizers.descent(numbers['learning_rate']))
  return training.timed(network), born


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
  timed = training.advance_timed(
    training.objective(activation, logistic),
    optimizers.descent(numbers['learning_rate']),
    minibatches.whole(data),
    state[0],
    first,
    last,
    below=_SOLVED,
  )
  return timed, state[1]


def record(config: Config, data: base.Batch, state: State) -> Result:
  """What is known of one network."""
  del data
  number = lambda x: x.astype(jnp.float32)
  (network, step), born = state
  solved, diverged = number(step), network.diverged_step
  return Result(
    steps_to_solve=jnp.where(solved < 0, jnp.float32(config.steps), solved),
    solved=number(solved >= 0),
    diverged_step=jnp.where(diverged < 0, jnp.nan, number(diverged)),
    last_cost=network.last_cost,
    **born,
  )


TRAINING = Training(
  program=lambda config: dataclasses.replace(config, **_ONES),
  numbers=lambda config: {name: getattr(config, name) for name in _TRACED},
  steps=lambda config: (0, config.steps),
  start=start,
  advance=advance,
  record=record,
)


def predict(config: Config, data: base.Batch) -> dict[str, np.ndarray]:
  """The law of the draw: mean 0 and variance epsilon^2 / 3."""
  del data
  return {'mean': np.zeros(()), 'variance': np.array(config.epsilon**2 / 3)}


def verdict(outcome: Outcome) -> list[str]:
  """How many seeds solve it, and in how many steps."""
  solved = outcome.measured['solved']
  share = stats.share(int(solved.sum()), len(solved))
  steps = stats.mean(outcome.measured['steps_to_solve'])
  return [
    f'solved by {claims.told(share, "%")} of the seeds, in '
    f'{claims.told(steps)} of {outcome.config.steps} steps'
  ]


def check_draw(outcomes: Sequence[Outcome]) -> Finding:
  """Range, mean and variance of the numbers in Theta1, at every epsilon.

  Holds if the largest in size of all N numbers is at most epsilon and at least
  epsilon (1 - ln(3 K / ALPHA) / N), which that of N uniform ones misses with
  the probability ALPHA / 3 K, for each of K settings; and if the intervals over
  seeds of mean and variance hold 0 and epsilon^2 / 3.

  Untested if an interval reaches farther than a tenth of epsilon, or of
  epsilon^2 / 3, to both sides.
  """
  settings = claims.every(outcomes)
  cells, parts, found = 3 * len(settings), [], []
  for outcome in settings:
    seen, epsilon = outcome.measured, float(np.float32(outcome.config.epsilon))
    size = _SIZE * len(outcome.seeds)
    largest = seen['largest'].max() / epsilon
    mean = claims.mean(seen['mean'] / epsilon, cells)
    ratio = claims.mean(seen['variance'] / (epsilon**2 / 3), cells)
    parts += [
      bool(1 - np.log(cells / claims.ALPHA) / size <= largest <= 1),
      claims.agrees(mean, 0, within=0.1),
      claims.agrees(ratio, 1, within=0.1),
    ]
    found.append((largest, mean, ratio))
  largest, means, ratios = zip(*found, strict=True)
  far = lambda estimates, value: claims.told(
    max(estimates, key=lambda each: abs(each.value - value))
  )
  return claims.finding(
    claims.together(parts),
    f'{size} numbers a setting, over epsilon: the largest '
    f'{min(largest):.4f} to {max(largest):.4f}, the mean, farthest from '
    f'0, {far(means, 0)}; variance over epsilon^2 / 3, farthest from 1, '
    f'{far(ratios, 1)}',
  )


def _ends(
  outcomes: Sequence[Outcome], end: int
) -> tuple[Outcome, Outcome, bool, str]:
  """The setting at one end of the sweep and the best, and whether it stalls.

  It stalls if most of its seeds do not solve the task in time, most seeds of
  the best do, and it takes more than five times as many steps, so that it is
  not only slow; a seed that does not get there counts as if it did with the
  last step. The best is found on these seeds, so each comparison is one of as
  many as there are other settings.

  Raises:
    Untested: of several networks, or over less than five decades.
  """
  ordered = claims.every(outcomes)
  ordered.sort(key=lambda each: each.config.epsilon)
  if len({TRAINING.program(each.config) for each in ordered}) > 1:
    raise claims.Untested('more than one network in this run')
  if ordered[-1].config.epsilon < 0.99e5 * ordered[0].config.epsilon:
    raise claims.Untested('epsilon is swept over less than five decades')
  steps = lambda each: each.measured['steps_to_solve']
  worst, best = ordered[end], min(ordered, key=lambda each: steps(each).mean())
  cells = len(ordered) - 1
  ratio = claims.ratio(steps(worst), steps(best), cells)
  late, early = (
    claims.share(each.measured['solved'] == 1, cells) for each in (worst, best)
  )
  stalls = ratio.low > 5 and late.high < 0.5 < early.low
  text = f'epsilon {worst.config.epsilon:g} takes {claims.told(ratio)} times '
  text += f'the steps of {best.config.epsilon:g}: {verdict(worst)[0]}'
  return worst, best, bool(stalls), text


def check_small(outcomes: Sequence[Outcome]) -> Finding:
  """The smallest epsilon against the best.

  Holds if it stalls, by the intervals of the shares of seeds that solve the
  task and of the ratio of steps, and the interval of its first gradient over
  that of the best lies below a hundredth: the gradient of Theta1 comes through
  two layers of weights, so a hundredth is what an epsilon ten times smaller
  makes of it.

  Untested if epsilon spans less than five decades, or networks differ in more.
  """
  end, best, stalls, text = _ends(outcomes, 0)
  first = claims.ratio(
    end.measured['gradient_norm'],
    best.measured['gradient_norm'],
    len(outcomes) - 1,
  )
  text += f'; its first gradient is {claims.told(first)} of the norm'
  return claims.finding(stalls and bool(first.high < 0.01), text)


def check_large(outcomes: Sequence[Outcome]) -> Finding:
  """The largest epsilon against the best.

  Holds if it stalls, as for the smallest, and the interval of the share of
  units that are saturated before training lies above one half, and above that
  of the best.

  Untested if epsilon spans less than five decades, or networks differ in more.
  """
  end, best, stalls, text = _ends(outcomes, -1)
  now, then = (
    claims.mean(x.measured['saturated'], len(outcomes) - 1) for x in (end, best)
  )
  text += f'; {claims.told(now, "%")} of its units are saturated at first, '
  text += f'{claims.told(then, "%")} there'
  return claims.finding(stalls and bool(now.low > max(0.5, then.high)), text)


_SOURCE = 'Andrew Ng, Machine Learning, lesson "Random initialization"'
CLAIMS = (
  Claim(
    'lecture 6, the draw',
    'rand(10,11) 2 epsilon - epsilon has the range [-epsilon, epsilon], the '
    'mean 0 and the variance epsilon^2 / 3.',
    _SOURCE,
    check_draw,
  ),
  Claim(
    'lecture 6, too small',
    'If epsilon is too small, the gradient is, too, and training stalls.',
    _SOURCE,
    check_small,
  ),
  Claim(
    'lecture 6, too large',
    'If epsilon is too large, units saturate and training stalls.',
    _SOURCE,
    check_large,
  ),
)

_STEPS = 'steps until solved, or all'
_SWEEP = functools.partial(Panel, kind='sweep', over='epsilon')
PANELS = (
  _SWEEP('steps_to_solve', 'Too small and too large', _STEPS, log=True),
  _SWEEP('solved', 'Seeds that solve the task in time', 'share of seeds'),
  _SWEEP('gradient_norm', 'The first gradient', '|dC/dTheta1|', log=True),
  _SWEEP('saturated', 'Saturated units before training', 'share of units'),
)


EXPERIMENT = of_module(
  __name__,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=lambda config: 231,
  defaults={
    'epsilon': '0.001,0.003,0.01,0.03,0.1,0.3,1,3,10,30,100',
    'lanes': '16',
  },
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
