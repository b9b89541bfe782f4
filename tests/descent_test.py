"""Gradient descent on the lecture's parabola: its claims, and how they fail."""

import numpy as np
import pytest
import studies

from experiments import descent

_NAMES = [claim.name for claim in descent.CLAIMS]
_CLOSED, _RATES, _ONE, _EVER = _NAMES


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('descent')
  rates = '--learning_rate=-0.01,0,0.01,0.05,0.1,0.15,0.19,0.2,0.21'
  return studies.run(descent.EXPERIMENT, out, rates, '--steps=200')


def _holds(outcomes):
  return studies.holds(descent.EXPERIMENT, outcomes)


def test_every_claim_holds(outcomes):
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


def test_the_steps_that_a_rate_needs_are_those_of_the_closed_form(outcomes):
  for outcome in outcomes[2:7]:
    factor = abs(1 - 10 * outcome.config.learning_rate)
    expected = np.log(1e-6 / 4.3) / np.log(max(factor, 1e-9))
    assert descent.steps_needed(outcome) == np.ceil(expected)
  needed = list(map(descent.steps_needed, outcomes))
  assert needed == [None, None, 145, 23, 1, 23, 145, None, None]


def _with(outcomes, rate, **fields):
  change = lambda measured: {
    name: function(measured[name]) for name, function in fields.items()
  }
  return studies.doctored(outcomes, change, learning_rate=rate)


def test_a_larger_error_fails(outcomes):
  wrong = _with(outcomes, 0.15, error=lambda x: x + 2e-12)
  assert not _holds(wrong)[_CLOSED]


@pytest.mark.parametrize('rate', [0.01, 0.19])
def test_a_rate_that_does_not_converge_fails(outcomes, rate):
  wrong = _with(outcomes, rate, distance=lambda x: x[:, ::-1])
  assert not _holds(wrong)[_RATES]


@pytest.mark.parametrize('rate', [0.0, 0.2, 0.21])
def test_a_rate_that_converges_against_the_claim_fails(outcomes, rate):
  shrinking = np.linspace(1, 0.5, 201)
  wrong = _with(outcomes, rate, distance=lambda x: x[:, :1] * shrinking)
  assert not _holds(wrong)[_RATES]


def test_a_second_step_fails(outcomes):
  late = lambda x: np.concatenate([x[:, :1], x[:, :-1]], 1)
  assert not _holds(_with(outcomes, 0.1, distance=late))[_ONE]


def test_a_swing_that_dies_out_fails(outcomes):
  wrong = _with(outcomes, 0.2, x=lambda x: x * np.float32(0.999999))
  assert not _holds(wrong)[_EVER]


def test_a_run_without_those_rates_cannot_tell(outcomes):
  inside = [each for each in outcomes if each.config.learning_rate == 0.01]
  found = _holds(inside)
  assert found[_CLOSED]
  assert found[_RATES] is found[_ONE] is found[_EVER] is None
