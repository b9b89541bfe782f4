"""Convex models: the claims of the experiment, and how they fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import studies

from experiments import convex
from initlab import base, keys

_NAMES = [claim.name for claim in convex.CLAIMS]
_RECOVERED, _ANY_START, _ZEROS, _OPTIMUM = _NAMES


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('convex')
  return studies.run(
    convex.EXPERIMENT, out, '--examples=300', '--record_every=400'
  )


def _holds(outcomes):
  return studies.holds(convex.EXPERIMENT, outcomes)


def _with(outcomes, function, field, **knobs):
  change = lambda measured: {field: function(measured[field])}
  return _holds(studies.doctored(outcomes, change, **knobs))


def test_every_claim_holds(outcomes):
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


def test_errors_that_are_too_large_or_too_small_fail(outcomes):
  for factor in (0.25, 2):
    scaled = lambda x, factor=factor: factor * x
    assert not _with(outcomes, scaled, 'chi_square', task='linear')[_RECOVERED]


@pytest.mark.parametrize(
  ('task', 'claim'), [('linear', _ANY_START), ('logistic', _OPTIMUM)]
)
def test_one_seed_that_ends_above_the_minimum_fails(outcomes, task, claim):
  worse = lambda x: x + 2e-8 * (np.arange(len(x)) == 5)[:, None]
  assert not _with(outcomes, worse, 'excess', task=task, scale=0.1)[claim]


def test_another_cost_of_zeros_or_no_gradient_fails(outcomes):
  zeros = {'task': 'logistic', 'scale': 0.0}
  assert not _with(outcomes, lambda x: x + 1e-12, 'start_error', **zeros)[
    _ZEROS
  ]
  assert not _with(outcomes, lambda x: 0 * x, 'start_slope', **zeros)[_ZEROS]


def test_zeros_alone_cannot_tell_of_other_starts(outcomes):
  zeros = [each for each in outcomes if each.config.scale == 0]
  assert _holds(zeros)[_ANY_START] is None
  assert _holds(zeros[:1])[_ZEROS] is None


def test_newton_is_at_least_squares():
  """Against NumPy's own solution, to the rounding of 300 examples."""
  config = convex.Config(examples=300, scale=1.0)
  with jax.enable_x64(True):
    numbers = {'learning_rate': jnp.asarray(0.5), 'scale': jnp.asarray(1.0)}
    fit = jax.jit(lambda key: convex.start(config, numbers, key, None))(
      keys.root(3)
    )
    x, y = map(np.asarray, fit.batch)
    assert x.dtype == y.dtype == np.float64
    expected = np.linalg.lstsq(x, y)[0]
    np.testing.assert_allclose(fit.optimum, expected, rtol=1e-12)


@pytest.mark.parametrize('knobs', [{'scale': -1.0}, {'examples': 2}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    convex.Config(**knobs)
