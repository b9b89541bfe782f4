"""Xavier's weights, and the best of several seeds: what decides of them."""

import numpy as np
import pytest

from experiments import learning, variance
from initlab import base, claims, lectures

_SEEDS = 8
_NOISE = np.exp(0.02 * np.random.default_rng(0).standard_normal((_SEEDS, 1)))


def _network(init, units, up=0.8, down=1.3, saturated=0.0):
  """Ranges that change by `up` and `down` over three hidden layers."""
  ramp = np.array([0.0, 0.5, 1.0, 1.0])
  measured = {
    'activation_std': 0.5 * up**ramp * _NOISE,
    'gradient_std': 0.1 * down**ramp * _NOISE,
    'saturated': np.full((_SEEDS, 4), saturated) * _NOISE,
  }
  config = variance.Config(init=init, widths=(units,) * 3)
  label = f'{init}, {units}'
  return base.Outcome(config, label, np.arange(_SEEDS), measured, {})


def _study(**changed):
  """The chapter's settings, some of them otherwise than lectures say."""
  settings = {
    'glorot_uniform': {},
    'glorot_normal': {},
    'uniform_tenth': {'up': 0.01},
    'normal_tenth': {'up': 0.05},
    'uniform_tenth_many': {'saturated': 0.2},
    'normal_tenth_many': {'saturated': 0.5},
  }
  of = lambda name: settings[name] | changed.get(name, {})
  found = []
  for init in ('glorot_uniform', 'glorot_normal'):
    found += [_network(init, units, **of(init)) for units in (30, 1000)]
  for init in ('uniform_tenth', 'normal_tenth'):
    found.append(_network(init, 30, **of(init)))
    found.append(_network(init, 1000, **of(f'{init}_many')))
  return found


def _found(statements, outcomes):
  return [each.holds for each in claims.findings(statements, outcomes)]


@pytest.mark.parametrize(
  ('changed', 'holds'),
  [
    ({}, [True, True, True]),
    ({'glorot_uniform': {'up': 0.2}}, [False, False, True]),
    ({'glorot_uniform': {'down': 4.0}}, [False, False, True]),
    ({'glorot_normal': {'down': 2.5}}, [True, False, True]),
    ({'uniform_tenth': {'up': 0.7}}, [True, True, False]),
    ({'normal_tenth_many': {'saturated': 0.0}}, [True, True, False]),
    ({'glorot_normal': {'saturated': 0.1}}, [True, True, False]),
  ],
)
def test_xaviers_claims_hold_of_what_they_describe_alone(changed, holds):
  assert _found(lectures.XAVIER, _study(**changed)) == holds


def test_other_settings_are_not_tested():
  assert _found(lectures.XAVIER, _study()[:2]) == [None] * 3
  few = [each for each in _study() if each.config.widths[0] == 30]
  assert _found(lectures.XAVIER, few) == [True, True, None]
  shallow = [
    each._replace(measured={k: x[:, :2] for k, x in each.measured.items()})
    for each in _study()
  ]
  assert _found(lectures.XAVIER, shallow)[0] is None


def _trained(seeds=100, spread=0.01, related=0.8):
  """Errors of which those of validation tell so much of those of the test."""
  rng = np.random.default_rng(2)
  test, other = 0.05 + spread * rng.standard_normal((2, seeds))
  measured = {
    'final_error': test,
    'final_valid_error': related * test + (1 - related) * other,
  }
  return [
    base.Outcome(learning.SMOKE, 'glorot', np.arange(seeds), measured, {})
  ]


@pytest.mark.parametrize(
  ('study', 'holds'),
  [
    ({}, [True, True]),
    ({'spread': 0.0}, [False, False]),
    ({'related': 0.0}, [True, False]),
    ({'related': -3.0}, [True, False]),
    ({'seeds': 99}, [None, None]),
  ],
)
def test_the_best_seed_is_worth_what_the_seeds_differ_by(study, holds):
  assert _found(lectures.SEEDS, _trained(**study)) == holds


def test_a_seed_that_diverged_counts_as_the_worst_and_is_not_kept():
  (few,), (most,) = _trained(), _trained()
  for field in few.measured:
    few.measured[field][::5] = np.nan
    # Of 88 in 100, five are all lost in more than half of all choices.
    most.measured[field][12:] = np.nan
  assert claims.findings(lectures.SEEDS, [few])[1].holds is True
  best = lectures.check_best([most])
  assert best.holds is False and 'inf of 5' in best.evidence
