"""Two minima: the claims of the experiment, and how they fail."""

import dataclasses

import numpy as np
import pytest
import studies

from experiments import basins
from initlab import base

_START, _SHARE = (claim.name for claim in basins.CLAIMS)


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  return studies.run(basins.EXPERIMENT, tmp_path_factory.mktemp('basins'))


def _holds(outcomes):
  return studies.holds(basins.EXPERIMENT, outcomes)


def test_every_claim_holds(outcomes):
  assert _holds(outcomes) == {_START: True, _SHARE: True}


def test_the_minima_are_where_the_slope_is_zero():
  x = np.array([basins.LEFT, basins.HILL, basins.RIGHT])
  h = 1e-5
  slope = (basins.function(x + h) - basins.function(x - h)) / (2 * h)
  # The third derivative is at most 10 here: 10 h^2 / 6 and rounding of 1e-11.
  np.testing.assert_allclose(slope, 0, atol=1e-9)


def test_one_start_on_the_wrong_side_fails(outcomes):
  def change(measured):
    begins = measured['start'].copy()
    begins[3] *= -1
    return {'start': begins}

  assert not _holds(studies.doctored(outcomes, change))[_START]


def test_starts_on_one_side_alone_decide_nothing(outcomes):
  change = lambda measured: {
    'start': np.ones_like(measured['start']),
    'x': np.full_like(measured['x'], basins.RIGHT),
  }
  assert not _holds(studies.doctored(outcomes, change))[_START]


def test_another_basin_fails(outcomes):
  """The same ends, where 45% or 75% of the starts are right of the hill."""
  (outcome,) = outcomes
  for share in (0.45, 0.75):
    high = 2 * share / (1 - share)
    config = dataclasses.replace(outcome.config, high=high)
    assert not _holds([outcome._replace(config=config)])[_SHARE]


@pytest.mark.parametrize('knobs', [{'low': 3.0}, {'steps': 0}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    basins.Config(**knobs)
