"""The best of several seeds, by validation."""

import numpy as np

from experiments.lectures import claims as lectures
from initlab import claims
from tests.helpers import synthetic


def test_a_seed_that_diverged_is_neither_kept_nor_counted():
  """The gain is that of the four others of each group."""
  (outcome,) = synthetic.seeds()
  test, valid = (
    outcome.measured[field].reshape(40, 5)
    for field in ('final_error', 'final_valid_error')
  )
  kept = test[np.arange(40), 1 + valid[:, 1:].argmin(1)]
  gain = claims.mean(kept - test[:, 1:].mean(1))
  for field in outcome.measured:
    outcome.measured[field][::5] = np.nan
  found = lectures.several_seeds.check([outcome])
  assert found.holds is True
  assert found.evidence.endswith(f'by {gain:%}')
