"""Estimates against the same numbers worked out by hand."""

import math

import numpy as np
import pytest

from initlab import stats


@pytest.mark.parametrize('n', [3, 4, 5, 7, 8, 10, 16, 20, 33, 40])
def test_the_interquartile_mean_cuts_a_quarter_on_either_side(n):
  """floor(n / 4) of the lowest and of the highest, of unequal steps.

  A cut of 0.30 would take one more on either side at 7, 10, 20, 33 and 40, and
  one of 0.20 one less at 4, 8, 16, 20, 33 and 40.
  """
  x = np.arange(1.0, n + 1) ** 3
  cut = n // 4
  by_hand = sum(x[cut : n - cut]) / (n - 2 * cut)
  shuffled = np.random.default_rng(0).permutation(x)
  value = stats.interquartile_mean(shuffled).value
  np.testing.assert_allclose(value, by_hand, rtol=1e-12)


@pytest.mark.parametrize(
  ('n', 'correction'),
  [(3, 1 / math.sqrt(math.pi)), (4, math.sqrt(math.pi / 6))],
)
def test_an_effect_is_corrected_for_its_degrees_of_freedom(n, correction):
  """J(f) = Gamma(f/2) / (sqrt(f/2) Gamma((f - 1)/2)), f = n - 1.

  Gamma(1/2) = sqrt(pi) makes J(2) = 1/sqrt(pi) and J(3) = sqrt(pi/6).
  """
  x = np.arange(1.0, n + 1) ** 2
  by_hand = correction * x.mean() / x.std(ddof=1)
  value = stats.effect_size(x, np.zeros(n)).value
  np.testing.assert_allclose(value, by_hand, rtol=1e-12)


@pytest.mark.parametrize('n', [1, 2, 5, 6])
def test_the_median_is_the_middle(n):
  x = np.arange(1.0, n + 1) ** 3
  by_hand = (x[(n - 1) // 2] + x[n // 2]) / 2
  value = stats.median(np.random.default_rng(0).permutation(x)).value
  np.testing.assert_allclose(value, by_hand, rtol=1e-12)
