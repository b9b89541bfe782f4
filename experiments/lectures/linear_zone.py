"""What a network can do while its sigmoid units are in their linear zone.

Question:
  Near 0 the sigmoid is almost a straight line. Is a network of which every unit
  stays there any better than a linear model?
Paper:
  365 Data Science, Deep Learning with TensorFlow 2, "Initialization" (a sigmoid
  that is used where it is linear makes the network a linear one).
Run:
  python -m experiments.lectures.linear_zone
Takes:
  15 seconds on two CPU cores (32 seeds of 1000 steps, two scales).
Expect:
  No linear model costs less than ln 2 = 0.6931 on the exclusive or. From a
  small scale a network stays within 0.001 of that for some 200 steps, as long
  as all its units are in the linear zone; once they leave it, it learns.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import (
  base,
  claims,
  datasets,
  initializers,
  keys,
  launch,
  losses,
  minibatches,
  mlp,
  optimizers,
  stats,
  training,
)
from initlab.experiment import (
  Claim,
  Finding,
  Outcome,
  Panel,
  PerNetwork,
  PerStep,
  Training,
  knob,
  of_module,
)

# |sigmoid(s) - (1/2 + s/4)| is at most 0.0101 where |s| <= 0.8.
ZONE, ERROR = 0.8, 0.0101
_LINEAR_COST = float(np.log(2))  # of the best linear model, by symmetry
_TRACED = ('scale', 'learning_rate')
_ONES = dict.fromkeys(_TRACED, 1.0)

Numbers = dict[str, base.Array]


@dataclasses.dataclass(frozen=True)
class Config:
  """A network 2-units-2 of sigmoid units, without biases at first."""

  scale: float = knob(0.1, 'weights are uniform in [-scale, scale)')
  units: int = knob(20, 'in the hidden layer')
  learning_rate: float = knob(1.0, 'of gradient descent')
  steps: int = knob(1000, 'how many steps are taken')

  def __post_init__(self):
    for field in dataclasses.fields(self):
      if not 0 < getattr(self, field.name) <= 2**20:
        value = getattr(self, field.name)
        raise base.UserError(
          f'--{field.name}={value}: above 0, at most {2**20}'
        )


SMOKE = Config(units=3, steps=10)


class Result(NamedTuple):
  """Zone steps are those at which every unit is in the zone on every example.

  cost: mean of the four examples.
  linear: share of units and examples in the zone.
  zone_cost: the lowest of all zone steps; NaN if there is none.
  zone_excess: the largest of all zone steps of |d - d'| over its bound, where d
    is the difference of the two logits and d' that of the network with 1/2 +
    s/4 in place of sigmoid(s). The bound is 0.0101 sum_j |v_j1 - v_j2|, with v
    the weights of the output.
  zone_bound: the largest bound of all zone steps.
  final_cost: after the last step.
  final_linear: share of units and examples in the zone, likewise.
  diverged_step, last_cost: see `base.DIVERGENCE`.
  """

  cost: PerStep
  linear: PerStep
  zone_cost: PerNetwork
  zone_excess: PerNetwork
  zone_bound: PerNetwork
  final_cost: PerNetwork
  final_linear: PerNetwork
  diverged_step: PerNetwork
  last_cost: PerNetwork


class State(NamedTuple):
  """A network in training, and what is remembered of its zone steps."""

  network: training.State
  cost: base.Array
  excess: base.Array
  bound: base.Array


class Look(NamedTuple):
  """What `look` sees of one network."""

  cost: base.Array
  linear: base.Array
  gap: base.Array
  bound: base.Array


def load(config: Config, data_dir: str) -> base.Batch:
  """The four points of {-1, 1}^2, the label their exclusive or."""
  del config
  points = datasets.DATASETS['xor'].split('train', None, data_dir)
  return points._replace(x=2 * points.x - 1)


def look(params: base.Params, data: base.Batch) -> Look:
  """A network beside the linear one that it is near to."""
  trace = mlp.trace(params, data.x, jax.nn.sigmoid)
  s, logits = trace.pre
  inside = jnp.abs(s) <= ZONE
  straight = mlp.apply(params, data.x, lambda s: 0.5 + 0.25 * s)
  between = lambda x: x[:, 1] - x[:, 0]
  cost = jnp.mean(jax.vmap(losses.cross_entropy)(logits, data.y))
  gap = jnp.max(jnp.abs(between(logits) - between(straight)))
  bound = ERROR * jnp.sum(jnp.abs(between(params[1].w)))
  return Look(cost, jnp.mean(inside.astype(s.dtype)), gap, bound)


def start(
  config: Config, numbers: Numbers, key: base.Key, data: base.Batch
) -> State:
  """Draws one network."""
  del data
  initializer = initializers.ng_epsilon(numbers['scale'])
  widths = (2, config.units, 2)
  params = mlp.init(keys.stream(key, 'init'), widths, initializer)
  network = training.start(params, optimizers.descent(numbers['learning_rate']))
  nan = jnp.full((), jnp.nan)
  return State(network, nan, nan, nan)


def advance(
  config: Config,
  numbers: Numbers,
  key: base.Key,
  data: base.Batch,
  state: State,
  first: base.Array,
  last: base.Array,
) -> State:
  """Takes the steps first, ..., last - 1, and looks before each."""
  del config, key
  step = functools.partial(
    training.advance,
    training.objective(jax.nn.sigmoid, losses.cross_entropy),
    optimizers.descent(numbers['learning_rate']),
    minibatches.whole(data),
    every=1,
  )

  def one(index: base.Array, state: State) -> State:
    seen = look(state.network.params, data)
    inside = lambda value: jnp.where(seen.linear == 1, value, jnp.nan)
    return State(
      step(state.network, index, index + 1),
      jnp.fmin(state.cost, inside(seen.cost)),
      jnp.fmax(state.excess, inside(seen.gap / seen.bound)),
      jnp.fmax(state.bound, inside(seen.bound)),
    )

  return jax.lax.fori_loop(first, last, one, state)


def record(config: Config, data: base.Batch, state: State) -> Result:
  """Looks at one network."""
  del config
  network, seen = state.network, look(state.network.params, data)
  alive = network.diverged_step < 0
  cost = jnp.where(alive, seen.cost, jnp.nan)
  step = network.diverged_step.astype(jnp.float32)
  return Result(
    cost=cost,
    linear=seen.linear,
    zone_cost=state.cost,
    zone_excess=state.excess,
    zone_bound=state.bound,
    final_cost=cost,
    final_linear=seen.linear,
    diverged_step=jnp.where(alive, jnp.nan, step),
    last_cost=network.last_cost,
  )


TRAINING = Training(
  program=lambda config: dataclasses.replace(config, **_ONES),
  numbers=lambda config: {name: getattr(config, name) for name in _TRACED},
  steps=lambda config: training.recorded_steps(
    config.steps, max(1, config.steps // 50)
  ),
  start=start,
  advance=advance,
  record=record,
)


def verdict(outcome: Outcome) -> list[str]:
  """What it costs in the linear zone, and in the end."""
  told = lambda name, unit='': claims.told(stats.average(outcome, name), unit)
  lines = [
    f'in the end the cost is {told("final_cost")} nats, with '
    f'{told("final_linear", "%")} of the units in the linear zone'
  ]
  if np.isfinite(outcome.measured['zone_cost']).any():
    lines.append(
      f'with every unit there it is {told("zone_cost")} at the lowest; '
      f'that of the best linear model is {_LINEAR_COST:.5f}'
    )
  return lines


def check_no_better(outcomes: Sequence[Outcome]) -> Finding:
  """What it costs while every unit is in the zone, seed by seed.

  The cross entropy changes by no more than the difference of the logits does,
  and that of the linear network is at least ln 2.

  Holds if every seed stays within the bound of the linear network, and its cost
  above ln 2 less the bound, up to float32: 1e-6 of a cost and, the gap being
  the difference of logits of about 1, 1e-6 over the bound of the excess; and if
  the interval of what seeds gain in the zone, over what they gain in all, lies
  below a twentieth, which is the error of the straight line, 0.0101, over its
  rise in the zone, 0.2.

  Untested if no two seeds start in the zone and leave it.
  """
  settings = claims.every(outcomes)
  seen = {
    name: np.concatenate([each.measured[name] for each in settings])
    for name in ('zone_cost', 'zone_excess', 'zone_bound', 'final_cost')
  }
  stayed = np.isfinite(seen['zone_cost'])
  linear = np.concatenate([each.measured['final_linear'] for each in settings])
  left = stayed & (linear < 1)
  if left.sum() < 2:
    raise claims.Untested('no two seeds start in the linear zone and leave it')
  cost, excess, bound = (
    seen[name][stayed] for name in ('zone_cost', 'zone_excess', 'zone_bound')
  )
  gain = (_LINEAR_COST - seen['zone_cost'][left]) / (
    _LINEAR_COST - seen['final_cost'][left]
  )
  share = claims.mean(gain)
  return claims.finding(
    bool((excess <= 1 + 1e-6 / bound).all())
    & bool((cost >= _LINEAR_COST - bound - 1e-6).all())
    & bool(share.high < 0.05),
    f'{stayed.sum()} seeds start in the zone; lowest cost there '
    f'{cost.min():.4f}, at most {excess.max():.2f} of the bound from a linear '
    f'network; {left.sum()} leave, {claims.told(share, "%")} of their gain '
    'is of before',
  )


CLAIMS = (
  Claim(
    'lecture 8, no better than linear',
    'A network of sigmoid units in their linear zone is no better than a '
    'linear model.',
    '365 Data Science, Deep Learning with TensorFlow 2, initialization',
    check_no_better,
  ),
)

PANELS = (
  Panel('cost', 'Cost of the exclusive or', 'nats', 'curve'),
  Panel('linear', 'Units in the linear zone', 'share of units', 'curve'),
)


EXPERIMENT = of_module(
  __name__,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=lambda config: 5 * config.units + 2,
  defaults={'scale': '0.1,3', 'lanes': '16'},
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
