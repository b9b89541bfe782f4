"""With two minima, the start determines where gradient descent ends.

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
  f(x) = x^4/4 - x^3/3 - x^2 has minima at -1 (f = -0.42) and 2 (f = -2.67), and
  a maximum at 0 between them. Of starts from U(-2, 3), the 3 in 5 to the right
  of it end at 2, the others at -1, however long the run.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, claims, experiment, keys, launch, panels
from initlab import stats, training
from initlab.experiment import PerNetwork, PerStep, knob

LEFT, HILL, RIGHT = -1.0, 0.0, 2.0  # where f' is zero
_NEAR = 1e-6


@experiment.config
class Config:
  """The distribution of the starts, and the steps of gradient descent."""

  learning_rate: float = knob(
    0.05, 'the factor of the slope in a step', traced=True
  )
  low: float = knob(-2.0, 'starts are uniform from here', traced=True)
  high: float = knob(3.0, 'starts are uniform up to here', traced=True)
  steps: int = knob(200, 'the number of steps', least=1, most=10_000)
  record_every: int = knob(5, 'steps between records', least=1)

  def check(self):
    """Refuses an empty interval, and a record after the last step."""
    if not self.low < self.high:
      raise base.UserError(
        f'--low={self.low} --high={self.high}: the first is below the second'
      )
    if self.record_every > self.steps:
      raise base.UserError(
        f'--record_every={self.record_every} --steps={self.steps}: the first '
        'is at most the second'
      )

  def draw(self, key):
    """x before the first step, uniform from `low` to `high`."""
    share = jax.random.uniform(keys.stream(key, 'init'), (), jnp.float32)
    return self.low + (self.high - self.low) * share.astype(float)


SMOKE = Config(steps=4, record_every=2)


class Result(NamedTuple):
  """The records; NaN after a seed diverges.

  x: the position.
  start: the position before the first step.
  value: f(x) after the last step.
  """

  x: PerStep
  start: PerNetwork
  value: PerNetwork


def function(x):
  """f(x) = x^4/4 - x^3/3 - x^2, f'(x) = (x + 1) x (x - 2)."""
  return x**4 / 4 - x**3 / 3 - x**2


def record(config: Config, network, data, kept):
  """The position x."""
  del config, data, kept
  return {'x': network.params, 'value': function(network.params)}


TRAINING = training.of_networks(
  Result,
  record,
  objective=lambda config: lambda x, data: function(x),
  before=lambda config, key, x, data: {'start': x},
)


def _ends(outcome, minimum):
  """Which seeds `[S]` end at a minimum."""
  return np.abs(outcome.measured['x'][:, -1] - minimum) < _NEAR


def verdict(outcome):
  """The share of starts that end at each minimum."""
  lines = []
  for minimum in (LEFT, RIGHT):
    there = _ends(outcome, minimum)
    share = stats.share(int(there.sum()), len(there))
    lines.append(
      f'{share:%} of {len(there)} starts end at {minimum:g}, where f is '
      f'{function(minimum):.3g}'
    )
  return lines


SOURCE = '365 Data Science, gradient descent'


@claims.claim('lecture 1, start', SOURCE)
def start(outcomes):
  """Of a function with two minima, the start decides the end.

  Holds if every seed that starts to the right of the maximum at 0 ends within
  1e-6 of the minimum there, and every other one within 1e-6 of that to the
  left.

  Untested if all starts of a setting are on one side of 0.
  """
  holds, evidence = [], []
  for outcome in claims.every(outcomes):
    right = outcome.measured['start'] > HILL
    if right.all() or not right.any():
      raise claims.Untested('all starts are on one side of 0')
    same = np.where(right, _ends(outcome, RIGHT), _ends(outcome, LEFT))
    holds.append(same.all())
    evidence.append(
      f'{same.sum()} of {len(same)} starts end in the minimum of their side, '
      f'{right.sum()} of them to the right of 0'
    )
  return claims.finding(all(holds), '; '.join(evidence))


@claims.claim('lecture 1, basins', SOURCE)
def basins(outcomes):
  """The share of starts that end in a minimum is the share of its basin.

  Holds if in every setting the exact interval, of Clopper and Pearson, of the
  share of seeds that end in the minimum to the right contains the length of its
  basin over that of the interval that starts are drawn from.

  Untested if half an interval is longer than 0.1: basins of 3/5 and 2/5 could
  then not be distinguished.
  """
  holds, evidence = [], []
  settings = claims.every(outcomes)
  for outcome in settings:
    config, there = outcome.config, _ends(outcome, RIGHT)
    span = config.high - config.low
    exact = min(max(config.high - HILL, 0) / span, 1)
    share = claims.share(there, len(settings))
    holds.append(claims.agrees(share, exact, within=0.1))
    evidence.append(f'{share:%} of {len(there)} starts, exactly {exact:.1%}')
  return claims.finding(claims.together(holds), '; '.join(evidence))


PANELS = (
  panels.Curves('x', 'No run ends at the mean', 'x, the hill at 0'),
  panels.Seeds('value', 'Where it ends', 'f(x) after the last step'),
)
EXPERIMENT = experiment.of_module(
  __name__, defaults={'seeds': '0:200', 'lanes': '100'}, dtype='float64'
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
