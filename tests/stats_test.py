"""Intervals that cover as often as they say, and agree with closed forms."""

import itertools

import chex
import numpy as np
import pytest
from scipy import stats as scipy_stats

from initlab import base, stats
from initlab.experiment import Outcome

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


@pytest.mark.parametrize('n', [5, 8, 30])
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


@pytest.mark.slow
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


@pytest.mark.parametrize('n', [6, 7, 21, 40])
@pytest.mark.parametrize('p', [0.5, 0.2, 0.9])
def test_no_shorter_interval_between_two_seeds_errs_as_rarely(n, p):
  """By the sum over how many of n are below the p-quantile."""
  mass = scipy_stats.binom.pmf(np.arange(n + 1), n, p)
  ranks = stats.quantile_interval(p, n)
  # The quantile is below the i-th seed where fewer than i are below it.
  below = [mass[:i].sum() for i in range(1, n + 1)]
  above = [mass[j:].sum() for j in range(1, n + 1)]
  if max(mass[0], mass[n]) > 0.025:
    assert ranks is None and n < stats.quantile_fewest(p)
    return
  assert n >= stats.quantile_fewest(p)
  low, high = ranks
  assert below[low - 1] <= 0.025 < below[low]
  assert above[high - 1] <= 0.025 < above[high - 2]


def test_the_median_is_between_the_published_ranks():
  """Conover, table A3 for p = 1/2: ranks 6 and 15 of 20 leave 0.0414."""
  x = np.sort(normals(20))
  assert stats.median(x[::-1])[:3] == ((x[9] + x[10]) / 2, x[5], x[14])
  assert np.isnan(stats.median(x[:5])[1:3]).all()
  assert stats.median(x[:6])[1:3] == (x[0], x[5])


def test_the_interquartile_mean_is_yuens_at_half_the_degrees():
  """Winsorized by hand: of 10 seeds 2 at each end are moved, 6 are left."""
  x = np.sort(normals(10))
  moved = np.array([x[2], x[2], *x[2:8], x[7], x[7]])
  error = np.sqrt(9 * moved.var(ddof=1) / (6 * 5))
  half = scipy_stats.t.ppf(0.975, 5 / 2) * error
  value = x[2:8].mean()
  np.testing.assert_allclose(
    stats.interquartile_mean(x[::-1])[:3],
    (value, value - half, value + half),
    rtol=1e-12,
  )


@pytest.mark.parametrize(
  ('estimate', 'truth'),
  [
    (stats.median, 1.0),
    (lambda x: stats.best_of_k(x, 5, best='lowest'), None),
    (lambda x: stats.best_of_k(1 / x, 5, best='highest'), None),
  ],
)
def test_exact_intervals_cover_skewed_values(estimate, truth):
  """At least as often as they say, of log-normal values of sigma 1.5."""
  best = np.exp(1.5 * scipy_stats.norm.ppf(1 - 0.5**0.2))
  x = np.exp(1.5 * normals(40, 5000))
  found = estimate(x)
  truth = truth or (best if np.median(found.value) < 1 else 1 / best)
  got, error = share(covers(found, truth))
  assert got > 0.95 - error


@pytest.mark.parametrize('best, pick', [('lowest', min), ('highest', max)])
@pytest.mark.parametrize('k', [1, 2, 5, 7])
@pytest.mark.parametrize('n', [7, 8])
def test_best_of_k_is_the_median_over_all_choices(best, pick, k, n):
  x = normals(n)
  brute = np.median([pick(c) for c in itertools.combinations(x, k)])
  estimate = stats.best_of_k(x, k, best=best)
  np.testing.assert_allclose(estimate.value, brute, rtol=1e-12)


@pytest.mark.parametrize('k', [1, 2, 5])
def test_best_of_k_lies_in_its_interval_from_the_fewest_seeds_on(k):
  fewest = stats.best_of_k_fewest(k)
  for n in range(fewest, fewest + 30):
    x = normals(n)
    estimate = stats.best_of_k(x, k, best='lowest')
    assert estimate.low <= estimate.value <= estimate.high
    # Of k = 1 it is the median's.
    if k == 1:
      assert estimate[:3] == stats.median(x)[:3]
  few = stats.best_of_k(normals(fewest - 1), k, best='lowest')
  assert np.isfinite(few.value) and np.isnan([few.low, few.high]).all()


def test_a_diverged_seed_is_a_try_and_the_worst():
  x = np.array([3.0, np.nan, 1.0, np.inf])
  estimate = stats.best_of_k(x, 3, best='lowest')
  assert estimate.value == 1  # of 1, 1, 1 and 3
  assert (estimate.n, estimate.total) == (2, 4)
  assert stats.best_of_k(x, 2, best='lowest').value == 2  # 1, 1, 1, 3, 3, inf
  assert stats.best_of_k(x, 1, best='lowest').value == np.inf
  assert stats.best_of_k(x, 1, best='highest').value == -np.inf
  assert stats.best_of_k(x, 3, best='highest').value == 3
  lost = np.where(np.arange(40) < 30, np.nan, 1.0)
  estimate = stats.best_of_k(lost, 5, best='lowest')
  assert (estimate.low, estimate.value, estimate.high) == (1, 1, np.inf)


@pytest.mark.parametrize('k, n', [(0, 10), (3, 10), (10, 10)])
def test_a_share_has_the_interval_of_which_its_count_is_no_surprise(k, n):
  """At its ends, k or more, and k or fewer, have a probability of 2.5%."""
  estimate = stats.share(k, n)
  assert (estimate.value, estimate.n) == (k / n, n)
  of = lambda p: scipy_stats.binom(n, p)
  if k:
    np.testing.assert_allclose(of(estimate.low).sf(k - 1), 0.025, rtol=1e-9)
  else:
    assert estimate.low == 0
  if k < n:
    np.testing.assert_allclose(of(estimate.high).cdf(k), 0.025, rtol=1e-9)
  else:
    assert estimate.high == 1


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


def test_seeds_for_is_the_first_number_with_enough_power():
  spreads = np.array([0.1, 1, 5, 1e4])

  def power(n, effect):
    test = scipy_stats.nct(n - 1, np.sqrt(n) * effect)
    critical = scipy_stats.t.ppf(0.975, n - 1)
    return test.sf(critical) + test.cdf(-critical)

  needed = stats.seeds_for(1.0, spreads)
  for n, spread in zip(needed, spreads, strict=True):
    assert power(n, 1 / spread) >= 0.8 and power(n - 1, 1 / spread) < 0.8
  # Cohen's table 2.3 has 34 pairs for an effect of 0.5.
  assert stats.seeds_for(0.5, np.ones(1)) == 34
  n = int(needed[1])
  p = scipy_stats.ttest_1samp(1 + normals(n, 20_000), 0).pvalue
  bound = 4.4 * np.sqrt(0.8 * 0.2 / 20_000)
  assert np.mean(p < 0.05) > 0.8 - bound


@pytest.mark.parametrize('pairs', [2, 3, 30])
def test_seeds_needed_are_those_at_the_limits_of_the_deviation(pairs):
  """That of 3 pairs is 2.1 times what they show, at an assurance of 80%."""
  pilot = normals(pairs, 4)
  needed = stats.seeds_needed(pilot, 0 * pilot, 0.3)
  limits = scipy_stats.chi2(pairs - 1).ppf([0.2, 0.975, 0.025])
  for found, limit in zip(needed[:3], limits, strict=True):
    deviation = pilot.std(0, ddof=1) * np.sqrt((pairs - 1) / limit)
    np.testing.assert_array_equal(found, stats.seeds_for(0.3, deviation))
  assert (needed.low < needed.value).all()
  assert (needed.value < needed.high).all()


def test_as_many_pilots_as_assured_name_seeds_of_the_power_wanted():
  """Of n, the number for the true deviation, or more; for 3 pairs."""
  pilot = normals(3, 2000)
  enough = stats.seeds_needed(pilot, 0 * pilot, 0.5).value >= 34
  bound = 4.4 * np.sqrt(0.8 * 0.2 / 2000)
  assert abs(enough.mean() - 0.8) < bound
  plain = stats.seeds_for(0.5, pilot.std(0, ddof=1)) >= 34
  assert plain.mean() < 0.8 - bound


def test_seeds_needed_at_its_limits():
  pilot = np.array([[0, 1e9, np.nan], [0, -1e9, 1]])
  needed = stats.seeds_needed(pilot, 0 * pilot, 1e-3).value
  assert needed[0] == 2 and needed[1] == np.inf and np.isnan(needed[2])
  # At many seeds the t-test is the z-test: ((1.960 + 0.842) s / difference)^2.
  many = stats.seeds_for(1e-3, np.array([np.sqrt(2)]))
  np.testing.assert_allclose(many, 7.84888 * 2e6, rtol=1e-5)


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
def test_few_seeds_have_a_value_and_no_interval(estimate):
  one = estimate(np.array([[2.0, 3.0]]))
  np.testing.assert_allclose(one.value, [2, 3], rtol=1e-15)
  for n in range(1, 5):
    few = estimate(np.exp(normals(n)))
    assert np.isfinite(few.value) and np.isnan([few.low, few.high]).all()
  enough = estimate(np.exp(normals(6)))
  assert enough.low < enough.value < enough.high


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


@pytest.mark.parametrize('spread', [1e-1, 1e-4, 1e-7])
def test_the_interval_of_a_large_effect_inverts_the_noncentral_t(spread):
  """P(T <= t) over a grid of 20,000 quantiles of chi^2, to its spacing."""
  x = 1 + spread * normals(6)
  found = stats.effect_size(x, 0 * x)
  t = x.mean() / x.std(ddof=1) * 6**0.5
  chi2 = scipy_stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, 5)
  for end, p in ((found.low, 0.975), (found.high, 0.025)):
    got = scipy_stats.norm.cdf(t * np.sqrt(chi2 / 5) - 6**0.5 * end).mean()
    np.testing.assert_allclose(got, p, atol=1e-4)


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
    (lambda: stats.geometric_mean(np.array([1, -1])), 'positive'),
    (lambda: stats.best_of_k(np.ones(3), 4, best='lowest'), 'k=4 .* 3 seeds'),
    (lambda: stats.best_of_k(np.ones(3), 0, best='lowest'), 'k=0'),
    (lambda: stats.best_of_k(np.ones(3), 1, best='max'), "not 'max'"),
    (lambda: stats.share(0, 0), '0 of 0'),
    (lambda: stats.share(4, 3), '4 of 3'),
    (lambda: stats.holm(np.array([1.1])), '0 to 1'),
    (lambda: stats.seeds_needed(np.ones(3), np.ones(3), 0), 'difference 0'),
    (lambda: stats.seeds_needed(np.ones(3), np.ones(3), 1, 0.01), 'power=0.01'),
    (
      lambda: stats.seeds_needed(np.ones(3), np.ones(3), 1, assurance=1.0),
      'assurance 1.0',
    ),
  ],
)
def test_bad_arguments_are_refused(call, message):
  with pytest.raises(base.UserError, match=message):
    call()


@pytest.mark.parametrize('p', [0.1, 0.3, 0.5, 0.6, 0.7, 0.9, 0.99])
def test_ranks_are_of_seeds_where_all_on_one_side_are_as_likely_as_allowed(p):
  for n in range(1, 60):
    confidence = 1 - 2 * max(p, 1 - p) ** n
    if 0 < confidence < 1:
      # The next one has more than enough, whatever is rounded.
      for seeds in (n, n + 1):
        ranks = stats.quantile_interval(p, seeds, confidence)
        assert ranks or seeds == n
        low, high = ranks or (1, seeds)
        assert 1 <= low < high <= seeds or seeds == 1
        between = np.diff(scipy_stats.binom.cdf([low - 1, high - 1], seeds, p))
        assert between.item() > confidence - 1e-12


def test_a_zero_is_left_out_of_a_geometric_mean():
  estimate = stats.geometric_mean(np.array([0.0, 2.0, 8.0]))
  np.testing.assert_allclose(estimate.value, 4)
  assert (estimate.n, estimate.total) == (2, 3)


def test_the_geometric_mean_of_zeros_alone_is_zero():
  estimate = stats.geometric_mean(np.array([[0.0, 1.0], [0.0, np.nan]] * 3))
  np.testing.assert_array_equal(estimate.value, [0, 1])
  np.testing.assert_array_equal(estimate.low, [0, np.nan])
  np.testing.assert_array_equal(estimate.n, [6, 3])


def test_a_field_has_the_mean_that_its_annotation_says():
  x = np.exp(normals(6, 2))
  measured = {'norm': x, 'error': x, 'solved': np.ones(6)}
  outcome = Outcome(None, '', np.arange(6), measured, {})
  outcome = outcome._replace(
    geometric=frozenset({'norm'}), shares=frozenset({'solved'})
  )
  for field, mean in (('norm', stats.geometric_mean), ('error', stats.mean)):
    chex.assert_trees_all_equal(stats.average(outcome, field), mean(x))
  assert stats.mean_name(outcome, 'norm') == 'geometric mean'
  assert stats.mean_name(outcome, 'error') == 'mean'
  chex.assert_trees_all_equal(
    stats.average(outcome, 'solved'), stats.share(6, 6)
  )
  assert stats.mean_name(outcome, 'solved') == 'share'


def test_shares_are_of_the_finite_seeds_of_each_entry():
  found = stats.shares(np.array([[1, 0], [np.nan, 0], [1, 1], [0, 1]]))
  for place, (successes, n) in enumerate([(2, 3), (2, 4)]):
    expected = stats.share(successes, n)
    chex.assert_trees_all_close(found.at(place)[:3], expected[:3], rtol=1e-15)
  assert found.n.tolist() == [3, 4] and found.total == 4
  with pytest.raises(base.UserError, match='0 or 1'):
    stats.shares(np.array([0.0, 0.5]))
