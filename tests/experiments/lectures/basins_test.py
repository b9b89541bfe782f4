"""Two minima: the claims of the experiment, as it runs."""

import numpy as np
import pytest

from experiments.lectures import basins
from initlab import base
from tests.helpers import studies


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  return studies.run(basins.EXPERIMENT, tmp_path_factory.mktemp('basins'))


def test_every_claim_holds(outcomes):
  assert set(studies.holds(basins.EXPERIMENT, outcomes).values()) == {True}


def test_the_minima_are_where_the_slope_is_zero():
  x = np.array([basins.LEFT, basins.HILL, basins.RIGHT])
  h = 1e-5
  slope = (basins.function(x + h) - basins.function(x - h)) / (2 * h)
  # The third derivative is at most 10 here: 10 h^2 / 6 and rounding of 1e-11.
  np.testing.assert_allclose(slope, 0, atol=1e-9)


@pytest.mark.parametrize('knobs', [{'low': 3.0}, {'steps': 0}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    basins.Config(**knobs)
