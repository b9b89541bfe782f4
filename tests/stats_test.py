"""Intervals that cover as often as they say, and agree with closed forms."""

import itertools

import chex
import numpy as np
import pytest
from scipy import stats as scipy_stats

from initlab import base, stats

ESTIMATORS = {
  'mean': stats.mean,
  'geometric_mean': stats.geometric_mean,
  'median': stats.median,
  'interquartile_mean': stats.interquartile_mean,
  'best_of_1': lambda x: stats.best_of_k(x, 1, best='highest'),
  'paired_ratio': lambda x: stats.paired_ratio(x, np.ones_like(x)),
  'paired_difference': lambda x: stats.paired_difference(x, np.zeros_like(x)),
}
COMPARISONS = (
  stats.paired_ratio,
  stats.paired_difference,
  stats.effect_size,
  stats.permutation_test,
  lambda a, b: stats.seeds_needed(a, b, 1.0),
)
every_estimator = pytest.mark.parametrize(
  'estimate', ESTIMATORS.values(), ids=ESTIMATORS
)


def normals(*shape):
  return np.random.default_rng(1).standard_normal(shape)


def share(holds):
  """Share of columns, and 4.4 standard errors of one of 95% (p = 1e-5)."""
  return holds.mean(), 4.4 * np.sqrt(0.95 * 0.05 / holds.size)


def covers(estimate, truth):
  return (estimate.low <= truth) & (truth <= estimate.high)


@pytest.mark.parametrize('n', [2, 5, 30])
def test_student_intervals_cover_exactly(n):
  x = normals(n, 20_000)
  for estimate, truth in (
    (stats.mean(3 + 2 * x), 3),
    (stats.geometric_mean(np.exp(1 + x)), np.e),
    (stats.paired_ratio(np.exp(1 + x), np.exp(2 + 0 * x)), 1 / np.e),
    (stats.paired_difference(x, 7 + 0 * x), -7),
  ):
    got, error = share(covers(estimate, truth))
    assert abs(got - 0.95) < error


@pytest.mark.parametrize('n', [3, 12])
@pytest.mark.parametrize('effect', [0, -0.7, 3])
def test_the_interval_of_an_effect_covers_exactly(n, effect):
  estimate = stats.effect_size(
    effect + normals(n, 20_000), np.zeros([n, 20_000])
  )
  got, error = share(covers(estimate, effect))
  assert abs(got - 0.95) < error
  # Unbiased; its variance, from the noncentral t, exists above 3 seeds.
  if n > 3:
    bound = 4.4 * estimate.value.std() / np.sqrt(20_000)
    assert abs(estimate.value.mean() - effect) < bound


def test_student_agrees_with_scipy():
  x = normals(9, 4)
  test = scipy_stats.ttest_1samp(x, 0, axis=0)
  ends = test.confidence_interval(0.9)
  estimate = stats.mean(x, confidence=0.9)
  np.testing.assert_allclose(estimate[:3], [x.mean(0), *ends], rtol=1e-12)


def test_the_median_has_the_interval_of_its_bootstrap_distribution():
  """At odd n, P(median of a resample <= x_i) is P(Binomial(n, i/n) > n/2)."""
  n = 21
  below = scipy_stats.binom.sf(n // 2, n, np.arange(1, n + 1) / n)
  low, high = np.searchsorted(below, [0.025, 0.975])
  # The resampled probabilities are 6 standard errors from changing the ends.
  resamples = 39_999
  gaps = np.abs(below[[low - 1, low]] - 0.025)
  assert np.all(gaps > 6 * np.sqrt(0.025 * 0.975 / resamples))
  x = np.sort(normals(n))
  estimate = stats.median(x[::-1], resamples=resamples)
  assert estimate[:3] == (x[n // 2], x[low], x[high])


def test_the_interquartile_mean_agrees_with_scipys_bootstrap():
  x = normals(16, 1)
  ours = stats.interquartile_mean(x)
  theirs = scipy_stats.bootstrap(
    (x,),
    lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis),
    method='percentile',
    rng=np.random.default_rng(1),
  )
  ends = theirs.confidence_interval
  # A quantile of 9,999 normals has an error of sqrt(p(1-p)/9999) / density,
  # 0.027 standard errors; of two, 4.4 times: 0.17.
  bound = 0.17 * theirs.standard_error
  assert abs(ours.low - ends.low) < bound and abs(ours.high - ends.high) < bound
  np.testing.assert_allclose(ours.value, np.sort(x, 0)[4:12].mean(), rtol=1e-12)


@pytest.mark.parametrize('estimate', [stats.median, stats.interquartile_mean])
def test_bootstrap_intervals_cover_about_as_often_as_they_say(estimate):
  """The percentile method errs by O(1/n): within 3 points at 40 seeds."""
  got, error = share(covers(estimate(normals(40, 2000), resamples=999), 0))
  assert abs(got - 0.95) < 0.03 + error


@pytest.mark.parametrize('best, pick', [('lowest', min), ('highest', max)])
@pytest.mark.parametrize('k', [1, 2, 5, 7])
def test_best_of_k_is_the_mean_over_all_choices(best, pick, k):
  x = normals(7)
  brute = np.mean([pick(c) for c in itertools.combinations(x, k)])
  estimate = stats.best_of_k(x, k, best=best)
  np.testing.assert_allclose(estimate.value, brute, rtol=1e-12)
  assert estimate.low <= estimate.value <= estimate.high


def test_a_diverged_seed_is_a_try_and_the_worst():
  x = np.array([3.0, np.nan, 1.0, np.inf])
  estimate = stats.best_of_k(x, 3, best='lowest')
  np.testing.assert_allclose(estimate.value, (1 + 1 + 1 + 3) / 4)
  assert (estimate.n, estimate.total) == (2, 4)
  assert stats.best_of_k(x, 2, best='lowest').value == np.inf
  assert stats.best_of_k(x, 2, best='highest').value == -np.inf
  assert stats.best_of_k(x, 3, best='highest').value == (3 + 3 + 3 + 1) / 4


@pytest.mark.parametrize('k, n', [(0, 10), (3, 10), (10, 10)])
def test_wilson_is_its_formula(k, n):
  z = scipy_stats.norm.ppf(0.975)
  middle = (k + z**2 / 2) / (n + z**2)
  half = z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
  estimate = stats.wilson(k, n)
  np.testing.assert_allclose(
    estimate[:4], [k / n, middle - half, middle + half, n], atol=1e-12
  )


def test_permutation_p_values_are_those_of_all_sign_patterns():
  a, b = normals(8, 3), 0.5 * normals(9, 3)[1:]
  signs = np.array(list(itertools.product([-1, 1], repeat=8)))
  sums = np.abs(signs @ (a - b))
  p = np.mean(sums >= np.abs((a - b).sum(0)) - 1e-12, axis=0)
  chex.assert_trees_all_close(stats.permutation_test(a, b).p, p, rtol=1e-12)


def test_permutation_p_values_hold_their_level_and_see_a_difference():
  x = normals(20, 300)
  p = stats.permutation_test(x, np.zeros_like(x), resamples=999).p
  assert np.mean(p <= 0.05) < 0.05 + 4.4 * np.sqrt(0.05 * 0.95 / 300)
  p = stats.permutation_test(x + 2, np.zeros_like(x), resamples=999).p
  chex.assert_trees_all_close(p, np.full(300, 2 / 1000))


def test_holm_rejects_what_the_steps_reject():
  p = np.random.default_rng(0).uniform(size=[40, 6]) ** 3
  for family, alpha in itertools.product(p, (0.01, 0.05, 0.3)):
    rejected = np.zeros(6, bool)
    for step, i in enumerate(np.argsort(family)):
      if family[i] > alpha / (6 - step):
        break
      rejected[i] = True
    np.testing.assert_array_equal(stats.holm(family) <= alpha, rejected)
  corrected = stats.holm(np.array([[0.5, np.nan], [0.02, 0.9]]))
  np.testing.assert_allclose(corrected, [[1.0, np.nan], [0.06, 1.0]])
  assert stats.holm(np.array([])).size == 0


def test_seeds_needed_is_the_first_number_with_enough_power():
  pilot = np.array([[1.0], [-1.0]]) * np.array([0.1, 1, 5, 1e4]) / np.sqrt(2)
  needed = stats.seeds_needed(pilot, 0 * pilot, 1.0)

  def power(n, effect):
    test = scipy_stats.nct(n - 1, np.sqrt(n) * effect)
    critical = scipy_stats.t.ppf(0.975, n - 1)
    return test.sf(critical) + test.cdf(-critical)

  for n, spread in zip(needed, [0.1, 1, 5, 1e4], strict=True):
    assert power(n, 1 / spread) >= 0.8 and power(n - 1, 1 / spread) < 0.8
  # Cohen's table 2.3 has 34 pairs for an effect of 0.5.
  assert stats.seeds_needed(pilot[:, 1], 0 * pilot[:, 1], 0.5) == 34
  n = int(needed[1])
  p = scipy_stats.ttest_1samp(1 + normals(n, 20_000), 0).pvalue
  bound = 4.4 * np.sqrt(0.8 * 0.2 / 20_000)
  assert np.mean(p < 0.05) > 0.8 - bound


def test_seeds_needed_at_its_limits():
  pilot = np.array([[0, 1e9, 1, np.nan], [0, -1e9, -1, 1]])
  needed = stats.seeds_needed(pilot, 0 * pilot, 1e-3)
  assert needed[0] == 2 and needed[1] == np.inf and np.isnan(needed[3])
  # At many seeds the t-test is the z-test: ((1.960 + 0.842) s / difference)^2.
  np.testing.assert_allclose(needed[2], 7.84888 * 2e6, rtol=1e-5)


@pytest.mark.parametrize('name', sorted(ESTIMATORS.keys() - {'best_of_1'}))
def test_bad_seeds_are_left_out_and_counted(name):
  estimate = ESTIMATORS[name]
  x = np.exp(normals(8, 2, 3))
  x[3, 0, 1], x[:6, 1, 2], x[:, 1, 0] = np.nan, np.inf, -0.0 + np.nan
  whole = estimate(x)
  chex.assert_shape(whole[:4], (2, 3))
  np.testing.assert_array_equal(whole.n, [[8, 7, 8], [0, 8, 2]])
  assert whole.total == 8
  assert np.isnan(whole.value[1, 0]) and np.isnan(whole.low[1, 0])
  clean = estimate(np.delete(x[:, 0, 1], 3))
  np.testing.assert_allclose(
    clean[:3], [end[0, 1] for end in whole[:3]], rtol=1e-12
  )


def test_bad_pairs_are_left_out_and_counted():
  a, b = normals(6, 1), normals(7, 1)[1:]
  bad_a, bad_b = a.copy(), b.copy()
  bad_a[0], bad_b[1] = np.nan, np.inf
  for compare in stats.effect_size, stats.permutation_test:
    bad, clean = compare(bad_a, bad_b), compare(a[2:], b[2:])
    assert (bad.n, bad.total) == (4, 6)
    np.testing.assert_allclose(bad[0], clean[0], rtol=1e-12)


@every_estimator
def test_one_seed_has_a_value_and_no_interval(estimate):
  one = estimate(np.array([[2.0, 3.0]]))
  np.testing.assert_allclose(one.value, [2, 3], rtol=1e-15)
  assert np.isnan([one.low, one.high]).all()


@every_estimator
def test_equal_seeds_have_an_interval_of_width_zero(estimate):
  same = estimate(np.full([7], 0.1))
  np.testing.assert_allclose(same.value, 0.1, rtol=1e-15)
  assert same.low == same.value == same.high


def test_equal_differences_are_an_infinite_effect_and_none_is_none():
  pairs = np.tile([2.0, -2.0, 0.0], [5, 1])
  estimate = stats.effect_size(pairs, 0 * pairs)
  for end in estimate[:3]:
    np.testing.assert_array_equal(end, [np.inf, -np.inf, 0])
  assert np.isnan(stats.effect_size(pairs[:2], 0 * pairs[:2]).value).all()


@every_estimator
def test_the_same_values_have_the_same_interval_again(estimate):
  x = np.exp(normals(9))
  assert estimate(x) == estimate(x)


@every_estimator
def test_no_seeds_are_refused(estimate):
  for values in np.ones([0]), np.ones([0, 3]), np.float64(1):
    with pytest.raises(base.UserError, match='no seeds'):
      estimate(values)


@pytest.mark.parametrize('compare', COMPARISONS)
def test_what_is_not_paired_is_refused(compare):
  with pytest.raises(base.UserError, match=r'\(3,\) and \(4,\).*not paired'):
    compare(np.ones(3), np.ones(4))


@pytest.mark.parametrize(
  'call, message',
  [
    (lambda: stats.mean(np.ones(3), confidence=95), 'confidence 95'),
    (lambda: stats.median(np.ones(3), 0), 'confidence 0'),
    (lambda: stats.median(np.ones(3), 0.9999, 99), '99 resamples'),
    (lambda: stats.geometric_mean(np.array([1, -1])), 'positive'),
    (lambda: stats.best_of_k(np.ones(3), 4, best='lowest'), 'k=4 .* 3 seeds'),
    (lambda: stats.best_of_k(np.ones(3), 0, best='lowest'), 'k=0'),
    (lambda: stats.best_of_k(np.ones(3), 1, best='max'), "not 'max'"),
    (lambda: stats.wilson(0, 0), '0 of 0'),
    (lambda: stats.wilson(4, 3), '4 of 3'),
    (lambda: stats.holm(np.array([1.1])), '0 to 1'),
    (lambda: stats.seeds_needed(np.ones(3), np.ones(3), 0), 'difference 0'),
    (lambda: stats.seeds_needed(np.ones(3), np.ones(3), 1, 0.01), 'power=0.01'),
  ],
)
def test_bad_arguments_are_refused(call, message):
  with pytest.raises(base.UserError, match=message):
    call()


def test_a_zero_is_left_out_of_a_geometric_mean():
  estimate = stats.geometric_mean(np.array([0.0, 2.0, 8.0]))
  np.testing.assert_allclose(estimate.value, 4)
  assert (estimate.n, estimate.total) == (2, 3)
