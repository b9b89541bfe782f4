"""How often the lab's 95% intervals cover, as `scripts/coverage` prints it.

Every cell is a simulation of its own: so many samples of n seeds of one law, of
which the interval of the lab holds the truth in such a share.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import special, stats as scipy_stats

from initlab import stats

SEEDS = (2, 3, 4, 5, 6, 8, 10, 16, 32, 64)
PILOTS = (3, 5, 10, 30)
LEAST = 0.93  # an interval that covers less often is not printed
_SIGMA = 1.5  # of the log-normal law: a skewness of 33
_QUARTILE = scipy_stats.norm.ppf(0.75)


class Law(NamedTuple):
  """What seeds are drawn from.

  name: as the table says it.
  draw: `(rng, shape) -> values`.
  mean, std: of the law.
  geometric: its geometric mean.
  middle: the mean between its quartiles.
  quantile: `p -> value`.
  """

  name: str
  draw: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
  mean: float
  std: float
  geometric: float
  middle: float
  quantile: Callable[[float], float]


def _uniform(low: float, high: float) -> Law:
  """The geometric mean is exp of (F(high) - F(low)) / (high - low), F the
  integral x log x - x of log x."""
  integral = special.xlogy(high, high) - special.xlogy(low, low)
  middle = (low + high) / 2
  return Law(
    f'uniform, {low:g} to {high:g}',
    lambda rng, shape: rng.uniform(low, high, shape),
    middle,
    (high - low) / 12**0.5,
    float(np.exp(integral / (high - low) - 1)),
    middle,
    lambda p: low + p * (high - low),
  )


def _lognormal() -> Law:
  """E[x; q < x < r] is exp(sigma^2 / 2) times a normal shifted by sigma^2."""
  mean = np.exp(_SIGMA**2 / 2)
  inside = scipy_stats.norm.cdf([_QUARTILE - _SIGMA, -_QUARTILE - _SIGMA])
  return Law(
    f'log-normal, sigma {_SIGMA}',
    lambda rng, shape: rng.lognormal(0, _SIGMA, shape),
    mean,
    mean * np.sqrt(np.exp(_SIGMA**2) - 1),
    1.0,
    2 * mean * (inside[0] - inside[1]),
    lambda p: np.exp(_SIGMA * scipy_stats.norm.ppf(p)),
  )


def _normal() -> Law:
  """Mean 10 and deviation 1, so that all values are positive; E log x by
  Gauss and Hermite's quadrature."""
  x, w = special.roots_hermitenorm(20)
  geometric = float(np.exp(w @ np.log(10 + x) / w.sum()))
  quantile = lambda p: 10 + scipy_stats.norm.ppf(p)
  draw = lambda rng, shape: rng.normal(10, 1, shape)
  return Law('normal, 10 +- 1', draw, 10.0, 1.0, geometric, 10.0, quantile)


NORMAL, LOGNORMAL = _normal(), _lognormal()
UNIFORM, FROM_ZERO = _uniform(1, 2), _uniform(0, 1)
LAWS = (NORMAL, LOGNORMAL, UNIFORM)


class Row(NamedTuple):
  """One line of a table.

  name: the interval.
  law: what the seeds are drawn from.
  simulate: `(rng, n, samples) -> (estimate, truth)`, of that many samples.
  share: of the samples of a cell that are drawn, where one takes long.
  """

  name: str
  law: str
  simulate: Callable[
    [np.random.Generator, int, int], tuple[stats.Estimate, float]
  ]
  share: float = 1.0


def _row(name: str, law: Law, estimate, truth: float, share=1.0) -> Row:
  """Of an estimate from one sample."""
  return Row(
    name,
    law.name,
    lambda rng, n, samples: (estimate(law.draw(rng, (n, samples))), truth),
    share,
  )


def _paired(name: str, law: Law, estimate, shift, truth, share=1.0) -> Row:
  """Of an estimate from pairs, the first shifted by so much."""

  def simulate(rng, n, samples):
    a, b = (law.draw(rng, (n, samples)) for _ in range(2))
    return estimate(a + shift, b), truth

  return Row(name, law.name, simulate, share)


def _best(k: int, law: Law) -> Row:
  """What the lowest of k seeds is below as often as above."""
  return _row(
    f'lowest of k = {k}',
    law,
    lambda x: stats.best_of_k(x, min(k, len(x)), best='lowest'),
    law.quantile(1 - 0.5 ** (1 / k)),
  )


def _share(p: float, interval=stats.share, name='share') -> Row:
  """Of so many successes one interval serves all samples."""

  def simulate(rng, n, samples):
    ends = [interval(count, n) for count in range(n + 1)]
    counts = rng.binomial(n, p, samples)
    low, high = (
      np.array([float(each[end]) for each in ends])[counts] for end in (1, 2)
    )
    return stats.Estimate(counts / n, low, high, np.full(samples, n), n), p

  return Row(name, f'yes with {p:g}', simulate)


def _effect(size: float, law: Law) -> Row:
  """Differences of two of a law, shifted by so many of their deviations."""
  shift = size * law.std * 2**0.5
  name = f'effect size {size:g}'
  return _paired(name, law, stats.effect_size, shift, size, share=0.1)


def _needed(law: Law) -> Row:
  """To see a tenth less than the deviation of the differences."""
  difference = 0.9 * law.std * 2**0.5
  truth = stats.seeds_for(difference, np.array([law.std * 2**0.5]))
  needed = lambda a, b: stats.seeds_needed(a, b, difference)
  return _paired('seeds needed', law, needed, 0, float(truth[0]), share=0.1)


def printed() -> list[Row]:
  """Every interval that the lab prints, of laws for which it is meant."""
  rows = []
  for law in LAWS:
    if law is not LOGNORMAL:
      rows.append(_row('mean', law, stats.mean, law.mean))
    rows += [
      _row('geometric mean', law, stats.geometric_mean, law.geometric),
      _row('median', law, stats.median, law.quantile(0.5)),
      _row('interquartile mean', law, stats.interquartile_mean, law.middle),
      *(_best(k, law) for k in (1, 2, 3, 5, 10)),
      _paired('paired difference', law, stats.paired_difference, 0, 0),
      _paired('paired ratio', law, stats.paired_ratio, 0, 1),
      _effect(0, law),
    ]
    if law is not LOGNORMAL:
      rows += [_effect(0.5, law), _needed(law)]
  rows += [_share(p) for p in (0.01, 0.05, 0.2, 0.5)]
  return sorted(rows, key=lambda row: [*map(_head, rows)].index(_head(row)))


def _head(row: Row) -> str:
  return row.name


def skewed() -> list[Row]:
  """Printed, too, but of values for which they are not meant."""
  return [
    _row('mean', LOGNORMAL, stats.mean, LOGNORMAL.mean),
    _row('geometric mean', FROM_ZERO, stats.geometric_mean, np.exp(-1)),
    _effect(0.5, LOGNORMAL),
    _needed(LOGNORMAL),
  ]


def rejected() -> list[Row]:
  """Usual intervals that the lab does not print, with why."""
  rows = [
    _row(
      "mean, Student's from 2 seeds",
      UNIFORM,
      lambda x: _symmetric(x.mean(0), x.std(0, ddof=1), len(x), len(x) - 1),
      UNIFORM.mean,
    )
  ]
  rows += [
    _row('interquartile mean, h - 1 degrees', law, _yuen, law.middle)
    for law in (UNIFORM, LOGNORMAL)
  ]
  return [*rows, _share(0.05, _wilson, "share, Wilson's")]


def _symmetric(value, s, n: int, degrees: int) -> stats.Estimate:
  half = special.stdtrit(degrees, 0.975) * s / np.sqrt(n)
  return stats.Estimate(value, value - half, value + half, n, n)


def _yuen(x: np.ndarray) -> stats.Estimate:
  """As published: with h - 1 degrees of freedom."""
  n = len(x)
  x, cut = np.sort(x, 0), n // 4
  left = n - 2 * cut
  moved = np.clip(x, x[cut], x[n - 1 - cut])
  s = np.sqrt((n - 1) * moved.var(0, ddof=1) / (left - 1))
  return _symmetric(x[cut : n - cut].mean(0), s, left, left - 1)


def _wilson(successes: int, n: int) -> stats.Estimate:
  test = scipy_stats.binomtest(successes, n)
  ends = test.proportion_ci(0.95, 'wilson')
  return stats.Estimate(successes / n, *ends, n, n)


def coverages(row: Row, samples: int, seeds=SEEDS) -> Iterator[float]:
  """Of each number of seeds the share that covers; NaN without an interval."""
  for n in seeds:
    rng = np.random.default_rng(n)
    estimate, truth = row.simulate(rng, n, round(row.share * samples))
    low, high = map(np.asarray, (estimate.low, estimate.high))
    covers = (low <= truth) & (truth <= high)
    yield float(covers.mean()) if np.isfinite(low).all() else np.nan


class Power(NamedTuple):
  """What pilots are worth.

  assured: share of pilots whose number of seeds has the power 0.8.
  mean: of the power that their numbers have.
  uncorrected: the same of numbers that take s for sigma.
  """

  assured: float
  mean: float
  uncorrected: float


def power(pairs: int, samples: int, effect: float = 0.5) -> Power:
  """Of pilots of normal differences with that true effect."""
  rng = np.random.default_rng(pairs)
  pilot = rng.standard_normal((pairs, samples))
  n = stats.seeds_needed(pilot, 0 * pilot, effect).value
  plain = stats.seeds_for(effect, pilot.std(0, ddof=1))
  actual, usual = (_power(each, effect) for each in (n, plain))
  return Power(
    float(np.mean(actual >= 0.8)), float(actual.mean()), float(usual.mean())
  )


def _power(n: np.ndarray, effect: float) -> np.ndarray:
  critical = special.stdtrit(n - 1, 0.975)
  ends = np.stack([-critical, critical])
  below = np.nan_to_num(special.nctdtr(n - 1, np.sqrt(n) * effect, ends))
  return 1 - (below[1] - below[0])


def table(rows: list[Row], samples: int) -> list[str]:
  """Markdown, one line a row: percent of samples that each size covers."""
  lines = [
    f'| interval | values | {" | ".join(map(str, SEEDS))} |',
    '|---|---|' + '--:|' * len(SEEDS),
  ]
  for row in rows:
    cells = [
      '-' if np.isnan(each) else f'{100 * each:.1f}'
      for each in coverages(row, samples)
    ]
    lines.append(f'| {row.name} | {row.law} | {" | ".join(cells)} |')
  return lines


def main() -> None:
  """Prints the page."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument(
    '--quick', action='store_true', help='a twentieth of the samples'
  )
  samples = 1000 if parser.parse_args().quick else 20_000
  error = 100 * np.sqrt(0.95 * 0.05 / samples)
  tenth = 100 * np.sqrt(0.95 * 0.05 / (samples / 10))
  lines = [
    '# How often the 95% intervals cover',
    '',
    'Written by `scripts/coverage`. Percent of simulated samples of 2 to 64 '
    'seeds whose',
    'interval holds the truth; a dash where the lab prints no interval. '
    f'Each cell is of {samples:,}',
    f'samples (standard error {error:.2f}), of effect sizes and seeds needed '
    f'{samples // 10:,} ({tenth:.2f}).',
    'Inexact intervals are printed only if they cover values of the laws that '
    'they are meant for in',
    f'{LEAST:.0%} or more, those of the first table; of [others]'
    '(#what-skewed-values-do-to-them) some cover',
    'less.',
    '',
    '## What the lab prints',
    '',
    "Means, paired differences and ratios have Student's interval, ratios and "
    'geometric means that',
    'of the logarithms; medians and the lowest of k (the median of the lowest '
    'of k seeds) that',
    'between two seeds, exact for every law; shares that of Clopper and '
    'Pearson, exact for every',
    'share; the interquartile mean that of Yuen, Tukey and McLaughlin at half '
    'the degrees of freedom;',
    'effect sizes the noncentral t. Seeds needed are to see 0.9 standard '
    'deviations.',
    '',
    *table(printed(), samples),
    '',
    '## What skewed values do to them',
    '',
    'These are exact for normal values (of logarithms, for geometric means), '
    'and err for others. So',
    'the lab averages what ranges over decades geometrically; beside the mean '
    'of an error stand its',
    'median and interquartile mean.',
    '',
    *table(skewed(), samples),
    '',
    '## What the lab does not print',
    '',
    *table(rejected(), samples),
    '',
    '## Seeds to see a difference',
    '',
    'Of pilots of so many pairs, with a true effect of 0.5 standard '
    'deviations: the share whose',
    'number of seeds has a power of 0.8 (assured: 0.8), the mean power of '
    'these numbers, and that of',
    'numbers that take the standard deviation of the pilot for the true one. '
    'Of '
    f'{samples:,} pilots.',
    '',
    '| pairs | share assured | mean power | mean power, uncorrected |',
    '|--:|--:|--:|--:|',
  ]
  for pairs in PILOTS:
    numbers = ' | '.join(f'{each:.3f}' for each in power(pairs, samples))
    lines.append(f'| {pairs} | {numbers} |')
  print('\n'.join(lines))


if __name__ == '__main__':
  main()
