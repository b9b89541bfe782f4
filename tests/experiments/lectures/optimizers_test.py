"""Three methods from one start: the claims of the experiment, as it runs."""

import dataclasses

import jax
import numpy as np
import pytest
from scipy import optimize

from experiments.lectures import optimizers
from initlab import base, keys
from tests.helpers import studies

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('methods')
  # A rate below the best one: a few seeds show who is ahead.
  small = ('--seeds=0:5', '--learning_rate=0.1', '--decay=0.05')
  small += ('--evaluations=800',)
  return studies.run(optimizers.EXPERIMENT, out, *small)


def test_every_claim_holds(outcomes):
  assert set(studies.holds(optimizers.EXPERIMENT, outcomes).values()) == {True}


@pytest.mark.slow
def test_every_claim_holds_as_it_runs_by_default(tmp_path):
  outcomes = studies.run(optimizers.EXPERIMENT, tmp_path)
  assert set(studies.holds(optimizers.EXPERIMENT, outcomes).values()) == {True}


def test_all_methods_start_from_the_same_weights(outcomes):
  first = [each.measured['mean_loss'][:, 0] for each in outcomes]
  assert outcomes[0].steps[:3] == (1, 10, 20)
  assert outcomes[0].steps[-1] == 800
  np.testing.assert_array_equal(first[1], first[2])
  # Stored in float32, of one cost that two programs round differently.
  np.testing.assert_allclose(first[0], first[1], rtol=1e-6)


def test_the_curves_never_rise(outcomes):
  for outcome in outcomes:
    for field in ('mean_loss', 'gradient'):
      assert (np.diff(outcome.measured[field]) <= 0).all()
    cost = outcome.measured['mean_loss'][:, -1]
    np.testing.assert_array_equal(outcome.measured['final_loss'], cost)


def test_no_more_evaluations_than_were_given(monkeypatch):
  """One method alone cannot be compared, and counts its evaluations."""
  config = dataclasses.replace(optimizers.SMOKE, evaluations=7)
  counted = []
  minimize = optimize.minimize

  def counting(function, *args, **kwargs):
    def one(x):
      found = function(x)
      counted.append(found)
      return found

    return minimize(one, *args, **kwargs)

  monkeypatch.setattr(optimize, 'minimize', counting)
  with jax.enable_x64(True):
    result = optimizers.run(config, keys.root(0), optimizers.load(config, ''))
  assert len(counted) == 7
  assert result.mean_loss.shape == (2,)
  assert float(result.final_loss) == min(cost for cost, _ in counted)


@pytest.mark.parametrize('knobs', [{'evaluations': 0}, {'examples': 0}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    optimizers.Config(**knobs)
