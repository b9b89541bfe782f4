"""Gradient descent on the lecture's parabola, as it runs."""

import numpy as np
import pytest

from experiments.lectures import descent
from tests.helpers import studies


@pytest.fixture(scope='module')
def outcomes(tmp_path_factory):
  out = tmp_path_factory.mktemp('descent')
  return studies.run(descent.EXPERIMENT, out, '--steps=200')


@pytest.mark.slow
def test_every_claim_holds(outcomes):
  assert set(studies.holds(descent.EXPERIMENT, outcomes).values()) == {True}


@pytest.mark.slow
def test_the_steps_that_a_rate_needs_are_those_of_the_closed_form(outcomes):
  for outcome in outcomes[2:7]:
    factor = abs(1 - 10 * outcome.config.learning_rate)
    expected = np.log(1e-6 / 4.3) / np.log(max(factor, 1e-9))
    assert descent.steps_needed(outcome) == np.ceil(expected)
  needed = list(map(descent.steps_needed, outcomes))
  assert needed == [None, None, 145, 23, 1, 23, 145, None, None]
