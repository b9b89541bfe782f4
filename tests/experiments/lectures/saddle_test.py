"""Training from zeros: the claims of the experiment, as it runs."""

import functools

import pytest

from experiments.lectures import saddle
from tests.helpers import studies

pytestmark = pytest.mark.slow


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


def test_every_claim_holds(outcomes):
  assert set(studies.holds(saddle.EXPERIMENT, outcomes).values()) == {True}


@pytest.mark.slow
def test_every_claim_holds_as_it_runs_by_default(tmp_path):
  outcomes = studies.run(saddle.EXPERIMENT, tmp_path)
  assert set(studies.holds(saddle.EXPERIMENT, outcomes).values()) == {True}
