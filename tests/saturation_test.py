"""The law of sums of many inputs, and the zones of the sigmoid."""

import jax
import numpy as np
import pytest

from experiments import saturation
from initlab import base, claims, keys

_SEEDS = 16


def _outcome(init, inputs, measured=None):
  """A setting as theory has it, with a noise of a thousandth."""
  config = saturation.Config(init=init, inputs=inputs)
  predicted = saturation.predict(config, None)
  rng = np.random.default_rng(inputs)
  noise = 1 + 1e-3 * rng.standard_normal(_SEEDS)
  values = {name: value * noise for name, value in predicted.items()}
  values |= {
    'linear_error': np.full(_SEEDS, 0.01),
    'flat_slope': np.full(_SEEDS, 0.0176),
  }
  label = f'{init}, inputs {inputs}'
  seen = values | (measured or {})
  return base.Outcome(config, label, np.arange(_SEEDS), seen, predicted)


def _sweep(**changed):
  """Both laws; of the uniform one, the few inputs as given."""
  found = [_outcome('uniform', 50, changed)]
  found += [_outcome('uniform', inputs) for inputs in (1000, 3000)]
  return found + [_outcome('normal', inputs) for inputs in (50, 1000, 3000)]


def _found(outcomes):
  return [each.holds for each in claims.findings(saturation.CLAIMS, outcomes)]


def test_the_claims_hold_of_what_they_describe():
  assert _found(_sweep()) == [True] * 4


@pytest.mark.parametrize(
  ('changed', 'fails'),
  [
    ({'variance': np.full(_SEEDS, 0.18)}, {0}),
    ({'variance': np.full(_SEEDS, 1.2)}, {0, 1}),
    ({'linear': np.full(_SEEDS, 0.4)}, {1, 3}),
    ({'linear_error': np.full(_SEEDS, 0.0102)}, {2}),
    ({'flat_slope': np.full(_SEEDS, 0.018)}, {2}),
    ({'flat': np.full(_SEEDS, 0.3)}, {3}),
    ({'sigmoid_slope': np.full(_SEEDS, 0.1)}, {3}),
  ],
)
def test_what_is_otherwise_is_refused(changed, fails):
  found = _found(_sweep(**changed))
  assert {place for place, holds in enumerate(found) if not holds} == fails


def test_saturation_that_does_not_come_is_refused():
  fresh = {'tanh_slope': np.full(_SEEDS, 0.9)}
  outcomes = [*_sweep()[:4], _outcome('normal', 1000, fresh), _sweep()[5]]
  assert _found(outcomes) == [True, False, True, False]


def test_half_a_sweep_is_not_tested():
  assert _found(_sweep()[:3])[:2] == [None, None]
  assert _found([_sweep()[0], _sweep()[3]])[:2] == [None, None]


def test_the_zones_are_where_the_lecture_has_them():
  s = np.linspace(-0.8, 0.8, 100_001)
  error = np.abs(1 / (1 + np.exp(-s)) - (0.5 + s / 4))
  assert 0.01 < error.max() < saturation.LINEAR_ERROR
  slope = np.exp(-4.0) / (1 + np.exp(-4.0)) ** 2
  assert round(slope, 5) == 0.01766 < saturation.FLAT_SLOPE


@pytest.mark.parametrize('init', ['uniform', 'normal'])
def test_a_layer_is_as_theory_has_it(init):
  """10 seeds of 100 x 100 units: every field within the check's allowance."""
  config = saturation.Config(init=init, inputs=300)
  run = jax.jit(jax.vmap(lambda seed: saturation.run(config, seed, None)))
  seeds = jax.vmap(lambda seed: keys.at(keys.root(0), seed))
  result = run(seeds(np.arange(10, dtype=np.uint32)))
  measured = {name: np.asarray(x) for name, x in result._asdict().items()}
  predicted = saturation.predict(config, None)
  outcome = base.Outcome(config, init, np.arange(10), measured, predicted)
  for field in predicted:
    assert saturation._gap(outcome, field) < 1, field
