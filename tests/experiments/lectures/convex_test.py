"""Convex models: the claims of the experiment, as it runs."""

import jax
import numpy as np
import pytest

from experiments.lectures import convex
from initlab import base, keys
from tests.helpers import studies


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('convex')
  return studies.run(
    convex.EXPERIMENT, out, '--examples=300', '--record_every=400'
  )


@pytest.mark.slow
def test_every_claim_holds(outcomes):
  assert set(studies.holds(convex.EXPERIMENT, outcomes).values()) == {True}


def test_newton_is_at_least_squares():
  """Against NumPy's own solution, to the rounding of 300 examples."""
  config = convex.Config(examples=300, scale=1.0)

  def kept(key):
    return convex.before(config, key, config.draw(key), None)

  with jax.enable_x64(True):
    found = jax.jit(kept)(keys.root(3))
    x, y = map(np.asarray, found['batch'])
    assert x.dtype == y.dtype == np.float64
    expected = np.linalg.lstsq(x, y)[0]
    np.testing.assert_allclose(found['minimum'], expected, rtol=1e-12)


@pytest.mark.parametrize('knobs', [{'scale': -1.0}, {'examples': 2}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    convex.Config(**knobs)
