"""The law of the draw, and the U over five decades of its scale."""

import dataclasses

import jax
import numpy as np
import pytest

from experiments import epsilon
from initlab import base, claims, keys


def _outcome(scale, seeds=24, **changed):
  """A setting as it is measured: solved from 0.01 to 1, saturated above."""
  rng = np.random.default_rng(1)
  theta = rng.uniform(-scale, scale, (seeds, 110)).astype(np.float32)
  solved = 0.01 <= scale <= 1
  noise = np.exp(0.1 * rng.standard_normal(seeds))
  measured = {
    'steps_to_solve': 70 * noise if solved else np.full(seeds, 2000.0),
    'solved': np.full(seeds, float(solved)),
    'largest': np.abs(theta).max(1),
    'mean': theta.mean(1),
    'variance': (theta**2).mean(1),
    'gradient_norm': min(scale, 1.0) ** 2 * noise,
    'saturated': np.full(seeds, 0.3 if scale <= 1 else 0.95),
  }
  return base.Outcome(
    epsilon.Config(epsilon=scale),
    f'epsilon {scale}',
    np.arange(seeds),
    measured | changed,
    {},
  )


_SCALES = (0.001, 0.1, 1.0, 100.0)


def _found(outcomes):
  return [each.holds for each in claims.findings(epsilon.CLAIMS, outcomes)]


def _doctored(**changed):
  """The sweep with one end as it should not be."""
  return [_outcome(0.001, **changed), *map(_outcome, _SCALES[1:])]


def test_the_claims_hold_of_what_they_describe():
  assert _found([_outcome(scale) for scale in _SCALES]) == [True] * 3


@pytest.mark.parametrize(
  'changed',
  [
    {'largest': np.full(24, 0.0011)},
    {'mean': np.full(24, 0.0001)},
    {'variance': np.full(24, 0.001**2)},
    {'variance': np.full(24, 0.001**2 / 12)},
  ],
)
def test_another_law_is_refused(changed):
  assert _found(_doctored(**changed))[0] is False


def test_a_scale_that_trains_as_well_is_refused():
  rng = np.random.default_rng(0)
  fast = {'steps_to_solve': 300 * np.exp(0.5 * rng.standard_normal(24))}
  assert _found(_doctored(**fast)) == [True, False, True]
  large = [*map(_outcome, _SCALES[:-1]), _outcome(100.0, **fast)]
  assert _found(large) == [True, True, False]


def test_another_cause_is_refused():
  assert _found(_doctored(gradient_norm=np.ones(24)))[1] is False
  linear = {'saturated': np.full(24, 0.2)}
  large = [*map(_outcome, _SCALES[:-1]), _outcome(100.0, **linear)]
  assert _found(large)[2] is False


def test_what_does_not_span_five_decades_is_not_tested():
  few = [_outcome(scale) for scale in _SCALES[1:]]
  assert _found(few) == [True, None, None]
  two = [_outcome(scale) for scale in _SCALES]
  other = dataclasses.replace(two[0].config, activation='relu')
  two.append(two[0]._replace(config=other))
  assert _found(two) == [True, None, None]


@pytest.mark.slow
def test_the_lecture_at_reduced_size():
  """Ten seeds of 600 steps at both ends and at 1."""
  config = epsilon.Config(steps=600)
  data = epsilon.load(config, '')
  program = epsilon.TRAINING.program(config)

  @jax.jit
  def run(scale, seed):
    pieces = epsilon.TRAINING._replace(program=lambda config: program)
    numbers = {'epsilon': scale, 'learning_rate': 0.5}
    key = keys.at(keys.root(0), seed)
    state = pieces.start(program, numbers, key, data)
    state = pieces.advance(program, numbers, key, data, state, 0, 600)
    return pieces.record(program, data, state)

  many = jax.jit(jax.vmap(run, (None, 0)))
  outcomes = []
  for scale in (0.001, 1.0, 100.0):
    result = many(np.float32(scale), np.arange(10, dtype=np.uint32))
    measured = {name: np.asarray(x) for name, x in result._asdict().items()}
    setting = dataclasses.replace(config, epsilon=scale)
    outcomes.append(base.Outcome(setting, '', np.arange(10), measured, {}))
  assert _found(outcomes) == [True] * 3
  solved = [each.measured['solved'].mean() for each in outcomes]
  assert solved == [0, 1, 0]
