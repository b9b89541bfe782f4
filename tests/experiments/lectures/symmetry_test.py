"""Constant starts: the claims of the experiment, as it runs."""

import numpy as np
import pytest

from experiments.lectures import symmetry
from initlab import activations, base
from tests.helpers import studies


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('symmetry')
  return studies.run(
    symmetry.EXPERIMENT,
    out,
    '--activation=tanh',
    '--seeds=0:32',
    '--record_every=250',
  )


@pytest.mark.slow
def test_every_claim_holds(outcomes):
  assert set(studies.holds(symmetry.EXPERIMENT, outcomes).values()) == {True}


@pytest.mark.slow
def test_units_of_a_constant_start_are_alike_to_the_last_bit(outcomes):
  constant = [each for each in outcomes if each.config.init == 'constant']
  assert {each.config.depth for each in constant} == {1, 3}
  for each in constant:
    assert (each.measured['difference'] == 0).all()
    assert (each.measured['rank'] == 1).all()


@pytest.mark.slow
def test_the_best_network_of_one_unit_is_where_the_derivation_says(tmp_path):
  """The best of 64 random starts: above the bound, and near it."""
  (outcome,) = studies.run(
    symmetry.EXPERIMENT,
    tmp_path,
    *('--init=random', '--width=1', '--activation=tanh', '--depth=1'),
    *('--seeds=0:64', '--steps=2000', '--record_every=2000'),
  )
  least = outcome.measured['final_loss'].min()
  assert symmetry.SINGLE < least < 1.005 * symmetry.SINGLE


def test_monotone_nonlinearities_are():
  x = np.linspace(-20, 20, 2001)
  for name, activation in activations.ACTIVATIONS.items():
    steps = np.diff(np.asarray(activation(x), np.float64))
    # float32 rounds values of up to 20 by at most 2e-6.
    assert name not in symmetry.MONOTONE or steps.min() > -4e-6, name


@pytest.mark.slow
def test_every_claim_holds_for_more_nonlinearities(tmp_path):
  names = 'sigmoid,softsign,relu,elu,softplus'
  outcomes = studies.run(symmetry.EXPERIMENT, tmp_path, f'--activation={names}')
  assert set(studies.holds(symmetry.EXPERIMENT, outcomes).values()) == {True}


@pytest.mark.parametrize('knobs', [{'scale': -1.0}, {'depth': 0}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    symmetry.Config(**knobs)
