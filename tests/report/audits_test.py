"""The numbers in the report of an audit."""

import numpy as np
import pytest

from initlab.report import audits


@pytest.mark.parametrize('lost', [[], [0.0], [np.nan], [0.0, np.nan]])
def test_a_lost_seed_changes_no_estimator(lost):
  found = audits.average('forward_square', np.array([1.0, 100.0] * 3 + lost))
  assert found.value == pytest.approx(10)
  assert (found.n, found.total) == (6, 6 + len(lost))
  assert ('(6 of' in audits._shown(found)) == bool(lost)


def test_what_may_be_negative_has_an_arithmetic_mean():
  positive, signed = np.linspace(1, 3, 6), np.linspace(-1, 3, 6)
  for measure in ('loss', 'tenfold_depth', 'forward_mean', 'correlation'):
    for values in (positive, signed):
      assert audits.average(measure, values).value == pytest.approx(
        values.mean()
      )


def test_a_share_counts_its_zeros():
  share = audits.average('dead', np.array([0.0, 0.0, 0.0, 0.0, 1.0]))
  assert (share.value, share.n) == (0.2, 5)
