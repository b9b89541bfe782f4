"""Constant starts: the claims of the experiment, and how they fail."""

import numpy as np
import pytest
import studies

from experiments import symmetry
from initlab import base

_ALIKE, _ONE_UNIT, _RANDOM = _NAMES = [c.name for c in symmetry.CLAIMS]


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


def _holds(outcomes):
  return studies.holds(symmetry.EXPERIMENT, outcomes)


def _with(outcomes, field, function, **knobs):
  change = lambda measured: {field: function(measured[field])}
  return _holds(studies.doctored(outcomes, change, **knobs))


def test_every_claim_holds(outcomes):
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


def test_units_of_a_constant_start_are_alike_to_the_last_bit(outcomes):
  constant = [each for each in outcomes if each.config.init == 'constant']
  assert {each.config.depth for each in constant} == {1, 3}
  for each in constant:
    assert (each.measured['difference'] == 0).all()
    assert (each.measured['rank'] == 1).all()


def test_one_seed_whose_units_differ_fails(outcomes):
  odd = lambda x: x + 2e-12 * (np.arange(len(x)) == 3)[:, None]
  assert not _with(outcomes, 'difference', odd, init='constant')[_ALIKE]


def test_one_matrix_of_rank_two_fails(outcomes):
  odd = lambda x: x + (np.arange(len(x)) == 3)[:, None]
  assert not _with(outcomes, 'rank', odd, init='constant')[_ALIKE]


def test_one_cost_below_a_single_units_fails(outcomes):
  below = lambda x: np.where(np.arange(len(x))[:, None] == 3, 0.4772, x)
  found = _with(outcomes, 'cost', below, init='constant', depth=3)
  assert not found[_ONE_UNIT]


def test_random_starts_that_fail_or_constants_that_solve_it_fail(outcomes):
  never = lambda x: np.full_like(x, 0.5)
  assert not _with(outcomes, 'final_cost', never, init='random')[_RANDOM]
  once = lambda x: np.where(np.arange(len(x)) == 3, 0.01, x)
  assert not _with(outcomes, 'final_cost', once, init='constant')[_RANDOM]


def test_a_run_without_constants_cannot_tell(outcomes):
  random = [each for each in outcomes if each.config.init == 'random']
  assert set(_holds(random).values()) == {None}


@pytest.mark.slow
def test_the_best_network_of_one_unit_is_where_the_derivation_says(tmp_path):
  """The best of 64 random starts: above the bound, and near it."""
  (outcome,) = studies.run(
    symmetry.EXPERIMENT,
    tmp_path,
    *('--init=random', '--width=1', '--activation=tanh', '--depth=1'),
    *('--seeds=0:64', '--steps=2000', '--record_every=2000'),
  )
  least = outcome.measured['final_cost'].min()
  assert symmetry.SINGLE < least < 1.005 * symmetry.SINGLE


def test_monotone_nonlinearities_are():
  x = np.linspace(-20, 20, 2001)
  for name, activation in symmetry.activations.ACTIVATIONS.items():
    steps = np.diff(np.asarray(activation(x), np.float64))
    # float32 rounds values of up to 20 by at most 2e-6.
    assert name not in symmetry.MONOTONE or steps.min() > -4e-6, name


@pytest.mark.slow
def test_every_claim_holds_for_more_nonlinearities(tmp_path):
  names = 'sigmoid,softsign,relu,elu,softplus'
  outcomes = studies.run(symmetry.EXPERIMENT, tmp_path, f'--activation={names}')
  assert _holds(outcomes) == dict.fromkeys(_NAMES, True)


@pytest.mark.parametrize('knobs', [{'scale': -1.0}, {'depth': 0}])
def test_settings_that_make_no_sense_are_refused(knobs):
  with pytest.raises(base.UserError, match=f'--{next(iter(knobs))}='):
    symmetry.Config(**knobs)
