"""Error rates and coverage of tuned comparisons, simulated.

`table(...)` measures what `initlab.tuning` gives where the truth is known. Two
settings have K learning rates and n seeds; a seed's error at a rate is

    m + d (sqrt(r) x + sqrt(1 - r) e),

with m the mean of the rate and d its deviation, x what the network of the seed
is worth, the same in validation and test, and e what the examples add, drawn
for each. r is the correlation of the two errors. All rates of both settings may
share a part of x, as a seed draws the same minibatches in all. e is normal; x
has mean 0, variance 1 and one of three laws:

  normal;
  log-normal, its logarithm of deviation 0.25: where errors of a network spread
    by a quarter of themselves over seeds;
  heavy-tailed: normal, but every tenth value ten times as large.

The means are in units of d / sqrt(n), the standard error that makes rates hard
to tell apart. In all laws both settings have the same error at their best rate,
so a difference that is found is a false alarm.

Run as a program (`python scripts/simulated_tuning.py [studies]`) it prints the
table of all laws, beside two procedures that `initlab.tuning` does not use.
"""

from collections.abc import Callable, Iterator
import sys
from typing import NamedTuple

import numpy as np

from initlab import stats
from initlab.report import tables, tuning


class Law(NamedTuple):
  """Two settings, whose best mean is 0 in both.

  first: means of the first one's rates, in standard errors.
  second: of the second one's.
  correlation: of validation and test error of a seed.
  growth: the deviation of the last rate; the first has 1.
  shared: the part of x's variance that a seed has at all rates of both.
  """

  first: tuple[float, ...]
  second: tuple[float, ...]
  correlation: float = 0.7
  growth: float = 1.0
  shared: float = 0.0


_STEPS = (0.0, 1.0, 2.0, 3.0)

# One law for both settings: what a test must not call a difference.
ALIKE = {
  'alike, all rates equal': Law((0.0,) * 4, (0.0,) * 4),
  'alike, a standard error apart': Law(_STEPS, _STEPS, 0.3),
  'alike, three apart, and seeds alike': Law(
    (0.0, 3.0, 6.0, 9.0), (0.0, 3.0, 6.0, 9.0), shared=0.8
  ),
  'alike, noisier rates better': Law(_STEPS[::-1], _STEPS[::-1], growth=4.0),
  'alike, one rate far ahead': Law(*((0.0, 9.0, 9.0, 9.0),) * 2),
}
# Two laws, with one error at the best rate all the same.
UNLIKE = {
  'unlike, other rates best': Law((0, 10, 20, 40), (40, 20, 0, 10)),
  'unlike, other rates best by far': Law((0, 99, 200, 400), (400, 200, 0, 99)),
  'unlike, one choice clear': Law((0.0,) * 4, (0.0, 9.0, 9.0, 9.0)),
}
LAWS = {**ALIKE, **UNLIKE}
NOISE = ('normal', 'log-normal', 'heavy-tailed')
SEEDS = (6, 10, 30)


class Study(NamedTuple):
  """One draw of two settings: errors `[K, n]` of validation and of test."""

  valid_a: np.ndarray
  test_a: np.ndarray
  valid_b: np.ndarray
  test_b: np.ndarray


class Rates(NamedTuple):
  """What was measured of a law, each as a share of the studies.

  at_05: p of at most 0.05.
  at_005: p of at most 0.005.
  difference: the interval of the difference holds 0.
  first: that of the first setting holds its best mean.
  second: that of the second one does.
  width: of the interval of the difference, over that of a paired Student's
    interval at known best rates, the mean of both over studies.
  """

  at_05: float
  at_005: float
  difference: float
  first: float
  second: float
  width: float


def draw(
  law: Law, noise: str, seeds: int, studies: int, seed: int = 0
) -> Iterator[Study]:
  """Studies of one law.

  Args:
    law: of LAWS.
    noise: of NOISE.
    seeds: n.
    studies: how many.
    seed: of the draws.
  """
  rng = np.random.default_rng(seed)
  for _ in range(studies):
    errors = []
    common = np.sqrt(law.shared) * _network(rng, noise, (1, seeds))
    for means in (law.first, law.second):
      shape = (len(means), seeds)
      deviation = np.linspace(1.0, law.growth, len(means))[:, None]
      own = np.sqrt(1 - law.shared) * _network(rng, noise, shape)
      network = np.sqrt(law.correlation) * (common + own)
      errors += [
        np.asarray(means, float)[:, None] / np.sqrt(seeds)
        + deviation
        * (network + np.sqrt(1 - law.correlation) * rng.standard_normal(shape))
        for _ in range(2)
      ]
    yield Study(*errors)


def _network(
  rng: np.random.Generator, noise: str, shape: tuple[int, int]
) -> np.ndarray:
  """Mean 0 and variance 1."""
  x = rng.standard_normal(shape)
  if noise == 'log-normal':
    x = np.exp(0.25 * x)
    mean, variance = np.exp(0.25**2 / 2), np.exp(0.25**2) * np.expm1(0.25**2)
    return (x - mean) / np.sqrt(variance)
  if noise == 'heavy-tailed':
    return x * np.where(rng.random(shape) < 0.1, 10, 1) / np.sqrt(10.9)
  return x


def rates(law: Law, noise: str, seeds: int, studies: int) -> Rates:
  """What `initlab.tuning` gives."""
  p, holds, widths = [], [], []
  best = [int(np.argmin(means)) for means in (law.first, law.second)]
  for study in draw(law, noise, seeds, studies):
    a, b = tuning.selections(study.valid_a), tuning.selections(study.valid_b)
    found = tuning.difference(study.test_a, a, study.test_b, b)
    estimates = (
      found.difference,
      tuning.estimate(study.test_a, a),
      tuning.estimate(study.test_b, b),
    )
    known = stats.paired_difference(
      study.test_a[best[0]], study.test_b[best[1]]
    )
    p.append(found.p)
    holds.append([each.low <= 0 <= each.high for each in estimates])
    widths.append([each.high - each.low for each in (found.difference, known)])
  wide, known = np.mean(widths, 0)
  return Rates(*_shares(p), *np.mean(holds, 0), wide / known)


def p_values(
  test: Callable[[Study], float],
  law: Law,
  noise: str,
  seeds: int,
  studies: int,
) -> np.ndarray:
  """`[studies]`, of any procedure."""
  return np.array([test(each) for each in draw(law, noise, seeds, studies)])


def tuned(study: Study) -> float:
  """The p-value of `initlab.tuning`."""
  a, b = tuning.selections(study.valid_a), tuning.selections(study.valid_b)
  return tuning.difference(study.test_a, a, study.test_b, b).p


def left_out(study: Study) -> float:
  """Judges each seed where the others choose, then flips signs.

  Each seed is fresh where it is judged, but all are judged where nearly the
  same seeds choose, so their mean errs together.
  """
  judged = []
  for valid, test in (study[:2], study[2:]):
    others = valid.sum(1, keepdims=True) - valid
    judged.append(test[others.argmin(0), np.arange(valid.shape[1])])
  return float(stats.permutation_test(*judged).p)


def swapped(study: Study, resamples: int = 1999) -> float:
  """Swaps the settings seed by seed, chooses again, compares the means.

  With one law for both settings whatever is exchanged between them has the same
  probability, so the share of swaps with a difference at least as large is an
  exact p-value.
  """
  seeds = study.valid_a.shape[1]
  if 2**seeds <= resamples:
    swaps = np.arange(2**seeds)[:, None] >> np.arange(seeds) & 1
  else:
    swaps = np.random.default_rng(0).integers(2, size=(resamples + 1, seeds))
    swaps[0] = 0
  swaps = swaps.astype(float)
  means = []
  for one, other in ((study[:2], study[2:]), (study[2:], study[:2])):
    valid, test = (
      (1 - swaps) @ x.T + swaps @ y.T for x, y in zip(one, other, strict=True)
    )
    means.append(test[np.arange(len(swaps)), valid.argmin(1)])
  size = np.abs(means[0] - means[1])
  return float(np.mean(size >= size[0] * (1 - 1e-12)))


def table(studies: int, seeds: tuple[int, ...] = SEEDS) -> tables.Table:
  """All laws: error rates, coverage and width, for print.

  Args:
    studies: how many of each law, noise and number of seeds.
    seeds: the numbers of seeds.
  """
  names, rows = [], []
  for count in seeds:
    for noise in NOISE:
      for name, law in LAWS.items():
        names.append(f'{count} seeds, {noise}, {name}')
        other = [
          _shares(p_values(test, law, noise, count, studies))
          for test in (left_out, swapped)
        ]
        rows.append([*rates(law, noise, count, studies), *sum(other, ())])
  heads = [
    ('type I error', 'at .05'),
    ('type I error', 'at .005'),
    ('coverage of 95%', 'difference'),
    ('coverage of 95%', 'first'),
    ('coverage of 95%', 'second'),
    ('width', 'of known rates'),
    ('leave one out', 'at .05'),
    ('leave one out', 'at .005'),
    ('swap', 'at .05'),
    ('swap', 'at .005'),
  ]
  return tables.Table(
    f'Tuned comparisons, {studies} simulated studies a row',
    tables.Column('', 'law', names),
    [
      tables.Column(group, head, [f'{row[place]:.4f}' for row in rows])
      for place, (group, head) in enumerate(heads)
    ],
  )


def _shares(p: np.ndarray | list[float]) -> tuple[float, float]:
  p = np.asarray(p)
  return float(np.mean(p <= 0.05)), float(np.mean(p <= 0.005))


if __name__ == '__main__':
  print(tables.grid(table(int(sys.argv[1]) if sys.argv[1:] else 1000), 190))
