"""Gradient descent needs a starting value, and a rate that is not too large.

Question:
  With which learning rates does gradient descent from x = 4 reach the minimum
  of a parabola, how fast, and what happens at the other rates?
Paper:
  365 Data Science, the lesson on gradient descent: f(x) = 5x^2 + 3x - 4.
Run:
  python -m experiments.lectures.descent --learning_rate=0.01,0.1,0.2,0.21
Takes:
  Under 10 seconds on two CPU cores (9 rates; nothing in it is random).
Expect:
  x_t = -0.3 + 4.3 (1 - 10 rate)^t: one step at 0.1, slow convergence at 0.01,
  oscillations that decay at 0.19, persist at 0.2 (4 and -4.6), grow at 0.21.
"""

from typing import Annotated, NamedTuple

import jax.numpy as jnp
import numpy as np

from initlab import claims, experiment, launch, panels, training
from initlab.experiment import GEOMETRIC, PerStep, knob

MINIMUM = -0.3  # where f'(x) = 10 x + 3 is zero
_NEAR = 1e-6  # of the minimum
_SHOWN = 10.0  # the largest |x| in the picture

# u = 2^-53. A step rounds 10 x, 10 x + 3, its product with the rate and the new
# x: at the rate 0.2, where no error decays, by at most
# u (0.2 (46 + 43 + 43) + 4.6) = 3.4e-15, after 200 steps by 6.9e-13; rounding
# the rate moves the closed form by 200 u 4.3 = 9.5e-14. The sum is below 1e-12.
# At smaller rates errors decay; at larger ones they grow with x, and the error
# is measured relative to it.
_ROUNDING = 1e-12


@experiment.config
class Config:
  """The start and the steps of gradient descent."""

  learning_rate: float = knob(0.1, 'multiplies the slope', traced=True)
  start: float = knob(4.0, 'x before the first step', traced=True)
  steps: int = knob(40, 'the number of steps', least=1, most=10_000)

  def draw(self, key):
    """x before the first step, the same for every seed."""
    del key
    return jnp.asarray(self.start, float)


SMOKE = Config(steps=3)
SWEEP = {'learning_rate': (-0.01, 0.0, 0.01, 0.05, 0.1, 0.15, 0.19, 0.2, 0.21)}


class Result(NamedTuple):
  """What is recorded.

  x: the position; NaN where |x| > 10.
  distance: |x - x*|, from the minimum.
  error: |x - closed form|, over |closed form| where that is above 1.
  """

  x: PerStep
  distance: Annotated[PerStep, GEOMETRIC]
  error: PerStep


def function(x):
  """f(x) = 5x^2 + 3x - 4."""
  return 5 * x**2 + 3 * x - 4


def watch(config: Config, network, moved, data, kept, step):
  """The closed form after a step: the distance shrinks by 1 - 10 rate."""
  del network, moved, data, kept
  factor, taken = 1 - 10 * config.learning_rate, step + 1
  power = jnp.abs(factor) ** taken.astype(float)
  power *= jnp.where(taken % 2 == 1, jnp.sign(factor), 1.0)
  return {'expected': MINIMUM + (config.start - MINIMUM) * power}


def record(config: Config, network, data, kept):
  """x, and its distance from the minimum and the closed form."""
  del config, data
  x, expected = network.params, kept['expected']
  return {
    'x': jnp.where(jnp.abs(x) <= _SHOWN, x, jnp.nan),
    'distance': jnp.abs(x - MINIMUM),
    'error': jnp.abs(x - expected) / jnp.maximum(1.0, jnp.abs(expected)),
  }


TRAINING = training.of_networks(
  Result,
  record,
  objective=lambda config: lambda x, data: function(x),
  every=lambda config: 1,
  before=lambda config, key, x, data: {'expected': x},
  watch=watch,
)


def steps_needed(outcome):
  """Steps after which x stays within 1e-6 of the minimum; None if it leaves."""
  near = outcome.measured['distance'].max(0) < _NEAR
  away = np.flatnonzero(~near)
  return None if not near[-1] else int(away[-1]) + 1 if away.size else 0


def verdict(outcome):
  """The number of steps needed, or the final distance."""
  steps = steps_needed(outcome)
  if steps is not None:
    return [f'from step {steps} on within {_NEAR:g} of the minimum']
  first, *_, last = outcome.measured['distance'].mean(0)
  return [f'{last:.3g} from the minimum in the end, {first:.3g} at first']


SOURCE = '365 Data Science, gradient descent'


@claims.claim('lecture 1, closed form', SOURCE)
def closed_form(outcomes):
  """x_t = -0.3 + 4.3 (1 - 10 rate)^t, to 1e-12.

  Holds if at every rate every recorded x is within 1e-12 of the closed form,
  relative to it where it is above 1: the rounding of 200 steps, as derived
  above. A NaN counts against the claim.

  Untested if the run is empty.
  """
  found = claims.every(outcomes)
  worst = np.max([each.measured['error'].max() for each in found])
  return claims.finding(worst <= _ROUNDING, f'largest error {worst:.2g}')


@claims.claim('lecture 1, rates', SOURCE)
def rates(outcomes):
  """It converges if and only if 0 < rate < 0.2.

  A step multiplies the distance to the minimum by |1 - 10 rate|, so a distance
  that shrinks at all converges to 0.

  Holds if the last recorded distance is below the first at the rates between 0
  and 0.2, and at no other. Both are stored in float32, and rounding moves their
  ratio by at most 1.2e-7; 1e-6 is allowed.

  Untested if no rate is up to 0, none between 0 and 0.2, or none from 0.2 on.
  """
  tried = np.array([each.config.learning_rate for each in outcomes])
  inside = (tried > 0) & (tried < 0.2)
  if not (inside.any() and (tried <= 0).any() and (tried >= 0.2).any()):
    raise claims.Untested('needs rates up to 0, below 0.2, and from 0.2 on')
  distances = [each.measured['distance'] for each in outcomes]
  shrunk = [(x[:, -1] < x[:, 0] * (1 - 1e-6)).all() for x in distances]
  return claims.finding(
    np.all(shrunk == inside),
    f'converges at {tried[shrunk].tolist()} of the rates {tried.tolist()}',
  )


@claims.claim('lecture 1, one step', SOURCE)
def one_step(outcomes):
  """At 0.1 one step is enough.

  Holds if x is within 1e-6 of the minimum from step 1 on, and not before.

  Untested if the rate 0.1 is not in the run.
  """
  steps = steps_needed(claims.one(outcomes, learning_rate=0.1))
  return claims.finding(steps == 1, f'at the minimum from step {steps} on')


@claims.claim('lecture 1, for ever', SOURCE)
def for_ever(outcomes):
  """At 0.2 it swings between 4 and -4.6 for ever.

  Holds if every recorded x is 4 after an even and -4.6 after an odd number of
  steps, to the last digit of float32.

  Untested if the rate 0.2 from x = 4 is not in the run.
  """
  outcome = claims.one(outcomes, learning_rate=0.2, start=4.0)
  x, ends = outcome.measured['x'], np.array([4.0, -4.6], np.float32)
  there = x == ends[np.array(outcome.steps) % 2]
  evidence = f'4 and -4.6 in turn in {there.mean():.0%} of the records'
  return claims.finding(there.all(), evidence)


PANELS = (
  panels.Curves('x', 'Where x is', 'x'),
  panels.Curves('distance', 'Distance to go', '|x + 0.3|', log=True),
)
EXPERIMENT = experiment.of_module(
  __name__, defaults={'seeds': '0', 'lanes': '1'}, dtype='float64'
)

if __name__ == '__main__':
  launch.main(EXPERIMENT)
