"""Gradient descent needs a starting value, and a rate that is not too large.

Question:
  From x = 4, with which learning rates does gradient descent reach the minimum
  of a parabola, how fast, and what happens at the other rates?
Paper:
  365 Data Science, the lesson on gradient descent: f(x) = 5x^2 + 3x - 4.
Run:
  python -m experiments.lectures.descent --learning_rate=0.01,0.1,0.2,0.21
Takes:
  Under 10 seconds on two CPU cores (9 rates; there is nothing random in it).
Expect:
  x_t = -0.3 + 4.3 (1 - 10 rate)^t: one step at 0.1, a slow approach at 0.01, a
  swinging one at 0.19, for ever between 4 and -4.6 at 0.2, away at 0.21.
"""

from collections.abc import Sequence
import dataclasses
import functools
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import base, claims, launch, minibatches, optimizers, training
from initlab.experiment import (
  GEOMETRIC,
  Claim,
  Finding,
  Outcome,
  Panel,
  PerStep,
  Training,
  knob,
  of_module,
)

MINIMUM = -0.3  # where f'(x) = 10 x + 3 is zero
_NEAR = 1e-6  # of the minimum
_SHOWN = 10.0  # where the picture ends

# u = 2^-53. A step rounds 10 x, 10 x + 3, its product with the rate and the new
# x: at the rate 0.2, where nothing is forgotten, by at most
# u (0.2 (46 + 43 + 43) + 4.6) = 3.4e-15, after 200 steps by 6.9e-13; rounding
# the rate moves the closed form by 200 u 4.3 = 9.5e-14. The sum is below 1e-12.
# Smaller rates forget; of larger ones the error grows with x, to which it is
# compared.
_ROUNDING = 1e-12


@dataclasses.dataclass(frozen=True)
class Config:
  """Where the descent begins, and how it goes."""

  learning_rate: float = knob(0.1, 'what multiplies the slope in a step')
  start: float = knob(4.0, 'the value of x that it starts from')
  steps: int = knob(40, 'how many steps are taken')

  def __post_init__(self):
    if not 1 <= self.steps <= 10_000:
      raise base.UserError(f'--steps={self.steps}: from 1 to 10000')


SMOKE = Config(steps=3)


class Descent(NamedTuple):
  """A descent under way.

  state: of the training, whose parameter is x.
  factor: `[]` 1 - 10 rate, by which a step multiplies the distance.
  expected: `[]` x by the closed form.
  """

  state: training.State
  factor: base.Array
  expected: base.Array


class Result(NamedTuple):
  """What is recorded.

  x: the position; NaN beyond 10 on either side.
  distance: |x - x*|, from the minimum.
  error: |x - closed form|, over |closed form| where that is above 1.
  """

  x: PerStep
  distance: Annotated[PerStep, GEOMETRIC]
  error: PerStep


def function(x: base.Array, batch: None = None) -> base.Array:
  """f(x) = 5x^2 + 3x - 4."""
  del batch
  return 5 * x**2 + 3 * x - 4


def start(
  config: Config, numbers: dict[str, base.Array], key: base.Key, data: None
) -> Descent:
  """The same for every seed."""
  del config, key, data
  x = numbers['start']
  state = training.start(x, optimizers.descent(numbers['learning_rate']))
  return Descent(state, 1 - 10 * numbers['learning_rate'], x)


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
  del config, key
  state = training.advance(
    function,
    optimizers.descent(numbers['learning_rate']),
    minibatches.whole(data),
    descent.state,
    first,
    last,
    every=1,
  )
  power = jnp.abs(descent.factor) ** last.astype(float)
  power *= jnp.where(last % 2 == 1, jnp.sign(descent.factor), 1.0)
  expected = MINIMUM + (numbers['start'] - MINIMUM) * power
  return descent._replace(state=state, expected=expected)


def record(config: Config, data: None, descent: Descent) -> Result:
  """Looks where x is."""
  del config, data
  x, expected = descent.state.params, descent.expected
  return Result(
    x=jnp.where(jnp.abs(x) <= _SHOWN, x, jnp.nan),
    distance=jnp.abs(x - MINIMUM),
    error=jnp.abs(x - expected) / jnp.maximum(1.0, jnp.abs(expected)),
  )


TRAINING = Training(
  program=lambda config: dataclasses.replace(
    config, learning_rate=0.0, start=0.0
  ),
  numbers=lambda config: {
    'learning_rate': config.learning_rate,
    'start': config.start,
  },
  steps=lambda config: training.recorded_steps(config.steps, 1),
  start=start,
  advance=advance,
  record=record,
)


def steps_needed(outcome: Outcome) -> int | None:
  """Steps after which x is within 1e-6 of the minimum for good, if any."""
  near = outcome.measured['distance'].max(0) < _NEAR
  away = np.flatnonzero(~near)
  return None if not near[-1] else int(away[-1]) + 1 if away.size else 0


def verdict(outcome: Outcome) -> list[str]:
  """How long it takes, or where it goes instead."""
  steps, last = steps_needed(outcome), outcome.config.steps
  if steps is not None:
    return [f'from step {steps} on within {_NEAR:g} of the minimum']
  distance = outcome.measured['distance'].mean(0)
  return [
    f'after {last} steps at a distance of {distance[-1]:.3g} from the minimum, '
    f'of {distance[0]:.3g} at first'
  ]


# Claims.


def _closed_form(outcomes: Sequence[Outcome]) -> Finding:
  """The recorded positions against the closed form.

  Holds if every recorded x of every rate is within 1e-12 of the closed form, of
  itself where that is above 1: what 200 steps may round, as derived above. An x
  that is not a number counts against it.

  Untested if the run is empty.
  """
  found = claims.every(outcomes)
  worst = np.max([each.measured['error'].max() for each in found])
  return claims.finding(
    worst <= _ROUNDING, f'largest error {worst:.2g}, at most {_ROUNDING:g}'
  )


def _converges(outcomes: Sequence[Outcome]) -> Finding:
  """Whether the distance to the minimum shrinks, at every rate.

  A step multiplies the distance by |1 - 10 rate|, so one that shrinks at all
  becomes as small as one likes.

  Holds if the last recorded distance is below the first at the rates between 0
  and 0.2, and at no other. Both are stored in float32, so that rounding moves
  their ratio by 1.2e-7 at most; 1e-6 is allowed.

  Untested if no rate is up to 0, none between 0 and 0.2, or none from 0.2 on.
  """
  rates = np.array([each.config.learning_rate for each in outcomes])
  inside = [bool(0 < rate < 0.2) for rate in rates]
  if not (any(inside) and np.any(rates <= 0) and np.any(rates >= 0.2)):
    raise claims.Untested(
      'rates up to 0, between 0 and 0.2, and from 0.2 on are wanted'
    )
  shrunk = [
    bool((each.measured['distance'][:, -1] < _shrunk(each)).all())
    for each in outcomes
  ]
  told = ', '.join(
    f'{each.config.learning_rate:g} {"yes" if yes else "no"}'
    for each, yes in zip(outcomes, shrunk, strict=True)
  )
  return claims.finding(shrunk == inside, f'converges at the rates {told}')


def _shrunk(outcome: Outcome) -> np.ndarray:
  """The distance at first, less what rounding may take off it."""
  return outcome.measured['distance'][:, 0] * (1 - 1e-6)


def _one_step(outcomes: Sequence[Outcome]) -> Finding:
  """The first step that ends at the minimum.

  Holds if x is within 1e-6 of the minimum from step 1 on, and not before.

  Untested if the rate 0.1 is not in the run.
  """
  steps = steps_needed(claims.one(outcomes, learning_rate=0.1))
  return claims.finding(
    steps == 1, f'at 0.1 within {_NEAR:g} of the minimum from step {steps} on'
  )


def _swings(outcomes: Sequence[Outcome]) -> Finding:
  """The positions at the rate 0.2, for as long as the run lasts.

  Holds if every recorded x is 4 after an even and -4.6 after an odd number of
  steps, to the last digit of float32.

  Untested if the rate 0.2 from x = 4 is not in the run.
  """
  outcome = claims.one(outcomes, learning_rate=0.2, start=4.0)
  ends = np.array([4.0, -4.6], np.float32)
  x = outcome.measured['x']
  there = x == ends[np.array(outcome.steps) % 2]
  return claims.finding(
    there.all(),
    f'at 4 and -4.6 in turn at {there.mean():.0%} of {x.shape[1]} records, to '
    f'the last digit of float32; last at {x[0, -1]:.6g}',
  )


_SOURCE = '365 Data Science, gradient descent'

CLAIMS = (
  Claim(
    'lecture 1, closed form',
    'x_t = -0.3 + 4.3 (1 - 10 rate)^t, to 1e-12.',
    _SOURCE,
    _closed_form,
  ),
  Claim(
    'lecture 1, rates',
    'It converges if and only if 0 < rate < 0.2.',
    _SOURCE,
    _converges,
  ),
  Claim(
    'lecture 1, one step', 'At 0.1 one step is enough.', _SOURCE, _one_step
  ),
  Claim(
    'lecture 1, for ever',
    'At 0.2 it swings between 4 and -4.6 for ever.',
    _SOURCE,
    _swings,
  ),
)

PANELS = (
  Panel('x', 'Where x is', 'x', 'curve'),
  Panel('distance', 'Distance to go', '|x + 0.3|', 'curve', True),
)

EXPERIMENT = of_module(
  __name__,
  load=lambda config, data_dir: None,
  run=functools.partial(training.run, TRAINING, Result),
  parameters=lambda config: 1,
  defaults={
    'learning_rate': '-0.01,0,0.01,0.05,0.1,0.15,0.19,0.2,0.21',
    'seeds': '0',
    'lanes': '1',
  },
  dtype='float64',
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
