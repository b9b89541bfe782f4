"""Training from zeros: the claims of the experiment, and how they fail."""

import functools

import numpy as np
import pytest
import studies

from experiments import saddle

pytestmark = pytest.mark.slow

_GRADIENTS, _PRIOR, _SADDLE, _FLAT = _NAMES = [c.name for c in saddle.CLAIMS]


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('saddle')
  # Of the 105 digits five classes have an example more than the others. Heavy
  # balls roll to their entropy by a factor of 0.9^(1/2) a step.
  data = ('--dataset=digits', '--examples=105', '--widths=4', '--seeds=0:4')
  plain = ('--optimizer=momentum', '--learning_rate=0.1', '--steps=600')
  run = functools.partial(
    studies.run, saddle.EXPERIMENT, out, *data, *plain, '--record_every=600'
  )
  return run('--init=zeros') + run('--init=glorot', '--depth=1')


def _holds(outcomes):
  return studies.holds(saddle.EXPERIMENT, outcomes)


def _with(outcomes, field, function, **knobs):
  change = lambda measured: {field: function(measured[field])}
  return _holds(studies.doctored(outcomes, change, **knobs))


def test_every_claim_holds(outcomes):
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


@pytest.mark.slow
def test_every_claim_holds_as_it_runs_by_default(tmp_path):
  outcomes = studies.run(saddle.EXPERIMENT, tmp_path)
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


def test_one_gradient_that_is_not_exactly_zero_fails(outcomes):
  odd = lambda x: x + 1e-30 * (np.arange(len(x)) == 1)[:, None]
  assert not _with(outcomes, 'gradient', odd, init='zeros')[_GRADIENTS]


def test_a_last_bias_without_a_gradient_fails(outcomes):
  none = lambda x: 0 * x
  assert not _with(outcomes, 'bias_gradient', none, init='zeros')[_GRADIENTS]


@pytest.mark.parametrize('by', [-2e-6, 2e-6])
def test_an_end_off_the_entropy_fails(outcomes, by):
  off = lambda x: x + by
  assert not _with(outcomes, 'excess', off, init='zeros')[_PRIOR]


def test_random_starts_that_stay_at_the_entropy_fail(outcomes):
  stuck = lambda x: 1e-3 * np.arange(-1, 3)[:, None] + 0 * x
  assert not _with(outcomes, 'excess', stuck, init='glorot')[_PRIOR]


def test_a_minimum_or_another_curvature_fails(outcomes):
  for factor in (-1, 1.00001):
    other = lambda x, factor=factor: factor * x
    found = _with(outcomes, 'final_curvature', other, init='zeros', depth=1)
    assert not found[_SADDLE]


def test_a_curvature_of_a_deeper_network_fails(outcomes):
  found = _with(
    outcomes, 'final_curvature', lambda x: x - 1e-3, init='zeros', depth=2
  )
  assert not found[_FLAT]


def test_a_run_of_one_start_or_one_depth_cannot_tell(outcomes):
  found = _holds([each for each in outcomes if each.config.init == 'zeros'][:1])
  assert found[_GRADIENTS] and found[_SADDLE]
  assert found[_PRIOR] is found[_FLAT] is None
