"""Where a function has two minima, the start decides in which one a run ends.

Question:
  Of many random starts, how many end in the better of two minima?
Paper:
  365 Data Science, the lesson on gradient descent: it finds a minimum, not the
  best one, and which one depends on the initial value.
Run:
  python -m experiments.lectures.basins --low=-2 --high=3 --seeds=0:1000
Takes:
  Under 10 seconds on two CPU cores (200 starts).
Expect:
  f(x) = x^4/4 - x^3/3 - x^2 has minima at -1 (f = -0.42) and 2 (f = -2.67) with
  the top of a hill at 0 between them. Of starts from U(-2, 3), the 3 in 5 to
  the right of it end at 2, the others at -1, and no longer run helps them.
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
  keys,
  launch,
  minibatches,
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

LEFT, HILL, RIGHT = -1.0, 0.0, 2.0  # where f' is zero
_NEAR = 1e-6


@dataclasses.dataclass(frozen=True)
class Config:
  """Where the starts are drawn from, and how the descent goes."""

  learning_rate: float = knob(0.05, 'what multiplies the slope in a step')
  low: float = knob(-2.0, 'starts are uniform from here')
  high: float = knob(3.0, 'starts are uniform up to here')
  steps: int = knob(200, 'how many steps are taken')
  record_every: int = knob(5, 'steps from one record to the next')

  def __post_init__(self):
    if not self.low < self.high:
      raise base.UserError(
        f'--low={self.low} --high={self.high}: the first is below the second'
      )
    if not 1 <= self.record_every <= self.steps <= 10_000:
      raise base.UserError(
        f'--record_every={self.record_every} --steps={self.steps}: from 1, the '
        'first at most the second, and that at most 10000'
      )


SMOKE = Config(steps=4, record_every=2)


class Result(NamedTuple):
  """What is recorded; NaN from where a seed diverges.

  x: the position.
  start: the position at the start.
  cost: f(x) at the end.
  """

  x: PerStep
  start: PerNetwork
  cost: PerNetwork


class Descent(NamedTuple):
  """A descent under way: the training of x, and where x began."""

  state: training.State
  origin: base.Array


def function(x: base.Array, batch: None = None) -> base.Array:
  """f(x) = x^4/4 - x^3/3 - x^2, f'(x) = (x + 1) x (x - 2)."""
  del batch
  return x**4 / 4 - x**3 / 3 - x**2


def start(
  config: Config, numbers: dict[str, base.Array], key: base.Key, data: None
) -> Descent:
  """A start of its own for every seed."""
  del config, data
  share = jax.random.uniform(keys.stream(key, 'init'), (), jnp.float32)
  span = numbers['high'] - numbers['low']
  x = numbers['low'] + span * share.astype(float)
  return Descent(
    training.start(x, optimizers.descent(numbers['learning_rate'])), x
  )


def advance(
  config: Config,
  numbers: dict[str, base.Array],
  key: base.Key,
  data: None,
  descent: Descent,
  first: base.Array,
  last: base.Array,
) -> Descent:
  """Takes the steps first, ..., last - 1."""
  del key
  state = training.advance(
    function,
    optimizers.descent(numbers['learning_rate']),
    minibatches.whole(data),
    descent.state,
    first,
    last,
    every=config.record_every,
  )
  return descent._replace(state=state)


def record(config: Config, data: None, descent: Descent) -> Result:
  """Looks where x is."""
  del config, data
  state = descent.state
  x = jnp.where(state.diverged_step < 0, state.params, jnp.nan)
  return Result(x, descent.origin, function(x))


TRAINING = Training(
  program=lambda config: dataclasses.replace(
    config, learning_rate=0.0, low=0.0, high=1.0
  ),
  numbers=lambda config: {
    name: getattr(config, name) for name in ('learning_rate', 'low', 'high')
  },
  steps=lambda config: training.recorded_steps(
    config.steps, config.record_every
  ),
  start=start,
  advance=advance,
  record=record,
)


def _ends(outcome: Outcome, minimum: float) -> np.ndarray:
  """Which seeds `[S]` end at a minimum."""
  return np.abs(outcome.measured['x'][:, -1] - minimum) < _NEAR


def verdict(outcome: Outcome) -> list[str]:
  """How many end where."""
  lines = []
  for minimum in (LEFT, RIGHT):
    there = _ends(outcome, minimum)
    share = stats.share(int(there.sum()), len(there))
    lines.append(
      f'{claims.told(share, "%")} of {len(there)} starts end at {minimum:g}, '
      f'where f is {float(function(jnp.asarray(minimum))):.3g}'
    )
  return lines


# Claims.


def _decides(outcomes: Sequence[Outcome]) -> Finding:
  """Where each seed ends, by where it starts.

  Holds if every seed that starts to the right of the hill ends within 1e-6 of
  the minimum there, and every other one within 1e-6 of that to the left.

  Untested if all starts of a setting are on one side of the hill.
  """
  holds, told = [], []
  for outcome in claims.every(outcomes):
    begins = outcome.measured['start']
    right = begins > HILL
    if right.all() or not right.any():
      raise claims.Untested('all starts are on one side of the hill')
    same = _ends(outcome, RIGHT) == right
    same &= _ends(outcome, LEFT) == ~right
    holds.append(same.all())
    told.append(
      f'{same.sum()} of {len(same)} starts end in the minimum of their side, '
      f'{right.sum()} of them to the right of 0'
    )
  return claims.finding(all(holds), '; '.join(told))


def _share(outcomes: Sequence[Outcome]) -> Finding:
  """The share of seeds that end in the minimum to the right.

  Holds if Wilson's interval of that share holds the length of the basin over
  that of the interval which starts are drawn from, in every setting.

  Untested if an interval reaches farther than 0.1 to both sides: basins of 3/5
  and 2/5 could then be exchanged.
  """
  holds, told = [], []
  settings = claims.every(outcomes)
  for outcome in settings:
    config, there = outcome.config, _ends(outcome, RIGHT)
    span = config.high - config.low
    exact = min(max(config.high - HILL, 0) / span, 1)
    share = claims.share(there, len(settings))
    holds.append(claims.agrees(share, exact, within=0.1))
    told.append(
      f'{claims.told(share, "%")} of {len(there)} starts, exactly {exact:.1%}'
    )
  return claims.finding(claims.together(holds), '; '.join(told))


_SOURCE = '365 Data Science, gradient descent'

CLAIMS = (
  Claim(
    'lecture 1, start',
    'Of a function with two minima, the start decides the end.',
    _SOURCE,
    _decides,
  ),
  Claim(
    'lecture 1, basins',
    'The share of starts that end in a minimum is the share of its basin.',
    _SOURCE,
    _share,
  ),
)

PANELS = (
  Panel('x', 'No run ends at the mean', 'x, the hill at 0', 'curve'),
  Panel('cost', 'Where it ends', 'f(x) after the last step', 'seeds'),
)

EXPERIMENT = of_module(
  __name__,
  load=lambda config, data_dir: None,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=lambda config: 1,
  defaults={'seeds': '0:200', 'lanes': '100'},
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
