"""Compares settings by their final errors, with tests paired by seed.

For PerNetwork fields where lower is better. Estimates use the finite seeds
only; the number of diverged ones stands beside them.
"""

from collections.abc import Sequence
import csv as csv_format
import io
import itertools
from typing import NamedTuple, TypeVar

import numpy as np

from initlab import base, formatting, stats
from initlab.experiment import DIVERGENCE, Outcome, as_title
from initlab.report import tables

_T = TypeVar('_T')
_ALL_PAIRS = 5  # settings up to which all are compared, not just to the first


class Comparison(NamedTuple):
  """Setting b minus setting a, over the seeds finite in both.

  difference: of the means.
  p: of the null hypothesis of no difference, by a sign-flip permutation test.
  holm: p corrected for the number of comparisons.
  effect: standardized effect size, see `stats.effect_size`.
  needed: seeds for 80% power at half this difference, see `stats.seeds_needed`.
  """

  a: str
  b: str
  difference: stats.Estimate
  p: float
  holm: float
  effect: stats.Estimate
  needed: stats.Estimate


def compare(field: str, outcomes: Sequence[Outcome]) -> list[Comparison]:
  """Compares all pairs of settings, or many settings with the first.

  Args:
    field: `[S]` of each outcome.
    outcomes: the settings.
  """
  return compare_pairs(field, pairs(outcomes))


def compare_pairs(
  field: str, compared: Sequence[tuple[Outcome, Outcome]]
) -> list[Comparison]:
  """The tests of pairs of settings (a, b), corrected for their number.

  Raises:
    UserError: two of them share no seed.
  """
  names = [(first.label, second.label) for first, second in compared]
  values = [
    paired(name, *((each.seeds, each.measured[field]) for each in pair))
    for name, pair in zip(names, compared, strict=True)
  ]
  return compare_values(names, values)


def compare_values(
  names: Sequence[tuple[str, str]],
  values: Sequence[tuple[np.ndarray, np.ndarray]],
) -> list[Comparison]:
  """The tests of values (a, b), corrected for their number.

  Args:
    names: of a and b.
    values: `[S]` each, paired by seed, see `paired`.
  """
  p = [float(stats.permutation_test(b, a).p) for a, b in values]
  corrected = stats.holm(np.array(p)) if p else []
  return [
    Comparison(
      *name,
      stats.paired_difference(b, a),
      p[i],
      float(corrected[i]),
      stats.effect_size(b, a),
      _needed(b, a),
    )
    for i, (name, (a, b)) in enumerate(zip(names, values, strict=True))
  ]


def check_root_seeds(what: str, ours: int | str, theirs: int | str) -> None:
  """Refuses the root seeds of two studies whose seeds are no pairs.

  Args:
    what: is compared, as in 'sweeps'.
    ours, theirs: their root seeds.

  Raises:
    UserError: they differ.
  """
  if ours != theirs:
    raise base.UserError(
      f'the {what} are of root seeds {ours} and {theirs}: their seeds are no '
      'pairs'
    )


def paired(
  names: tuple[str, str],
  a: tuple[np.ndarray, np.ndarray],
  b: tuple[np.ndarray, np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
  """Values of the same seeds, then NaN up to the size of the larger side.

  So an estimate's `total` counts seeds without a partner, and `n` the pairs.

  Args:
    names: of a and b.
    a, b: seeds `[S]` and their values `[S, ...]`.

  Raises:
    UserError: they share no seed.
  """
  shared, *places = np.intersect1d(a[0], b[0], return_indices=True)
  if not shared.size:
    raise base.UserError(f'{names[0]} and {names[1]} share no seed')
  alone = max(len(a[0]), len(b[0])) - len(shared)
  first, second = (
    np.concatenate(
      [values[place].astype(float), np.full((alone, *values.shape[1:]), np.nan)]
    )
    for (_, values), place in zip((a, b), places, strict=True)
  )
  return first, second


def as_dict(found: Comparison) -> dict[str, str | float]:
  """A comparison as the row of a frame; `total` counts the larger side."""
  return {
    'a': found.a,
    'b': found.b,
    'difference': float(found.difference.value),
    'low': float(found.difference.low),
    'high': float(found.difference.high),
    'pairs': int(found.difference.n),
    'total': found.difference.total,
    'p': found.p,
    'p_holm': found.holm,
    'seeds_needed': float(found.needed.value),
  }


def pairs(settings: Sequence[_T]) -> list[tuple[_T, _T]]:
  """The pairs to compare: all of them, or many settings with the first."""
  if len(settings) > _ALL_PAIRS:
    return [(settings[0], other) for other in settings[1:]]
  return list(itertools.combinations(settings, 2))


def all_tables(field: str, outcomes: Sequence[Outcome]) -> list[tables.Table]:
  """The table of errors and, for two settings or more, that of the tests."""
  found = [errors(field, outcomes)]
  comparisons = compare(field, outcomes)
  return [*found, tests(field, comparisons)] if comparisons else found


def errors(field: str, outcomes: Sequence[Outcome]) -> tables.Table:
  """The table of final errors by setting."""
  columns = {
    ('mean', '95% interval'): lambda x: tables.with_interval(
      stats.mean(x), stats.FEWEST
    ),
    ('median', '95% interval'): lambda x: tables.with_interval(
      stats.median(x), stats.quantile_fewest(0.5)
    ),
    ('interquartile mean', '95% interval'): lambda x: tables.with_interval(
      stats.interquartile_mean(x), stats.FEWEST
    ),
    ('single seeds', 'best'): lambda x: tables.extreme(np.min, x),
    ('single seeds', 'worst'): lambda x: tables.extreme(np.max, x),
    ('seeds', 'finite'): lambda x: f'{np.isfinite(x).sum()} of {len(x)}',
    ('not finite', 'share, 95% interval'): _lost,
  }
  values = [np.asarray(each.measured[field], float) for each in outcomes]
  return tables.Table(
    f'{as_title(field)}, the seed as the unit',
    tables.Column('', 'setting', [each.label for each in outcomes]),
    tables.columns(columns, values),
  )


def in_short(field: str, outcomes: Sequence[Outcome]) -> tables.Table:
  """Errors, and differences from the first setting, in one table."""
  values = [np.asarray(each.measured[field], float) for each in outcomes]
  columns = {
    ('mean', '95% interval'): [
      tables.with_interval(stats.mean(x), stats.FEWEST) for x in values
    ],
    ('median', '95% interval'): [
      tables.with_interval(stats.median(x), stats.quantile_fewest(0.5))
      for x in values
    ],
    ('seeds', 'finite'): [
      f'{np.isfinite(x).sum()} of {len(x)}' for x in values
    ],
  }
  title, first = f'{as_title(field)}, the seed as the unit', outcomes[0].label
  if len(outcomes) > 1:
    title += f'; differences from {first} are paired by seed'
    found = compare(field, outcomes)[: len(outcomes) - 1]
    columns['difference', '95% interval'] = [
      '-',
      *(tables.with_interval(each.difference, stats.FEWEST) for each in found),
    ]
    columns['difference', 'p, Holm'] = [
      '-',
      *(formatting.p_value(each.holm) for each in found),
    ]
  return tables.Table(
    title,
    tables.Column('', 'setting', [each.label for each in outcomes]),
    [tables.Column(*head, cells) for head, cells in columns.items()],
  )


def tests(field: str, comparisons: Sequence[Comparison]) -> tables.Table:
  """The table of paired differences."""
  columns = {
    ('difference of means', '95% interval'): lambda each: tables.with_interval(
      each.difference, stats.FEWEST
    ),
    ('permutation test', 'p'): lambda each: formatting.p_value(each.p),
    ('permutation test', 'p, Holm'): lambda each: formatting.p_value(each.holm),
    ('effect size', '95% interval'): lambda each: tables.cell(each.effect),
    ('seeds', 'pairs'): lambda each: (
      f'{each.difference.n} of {each.difference.total}'
    ),
    ('seeds', 'for 80% power at half of it'): lambda each: _needed_text(
      each.needed
    ),
  }
  names = [f'{each.b} - {each.a}' for each in comparisons]
  return tables.Table(
    f'{as_title(field)}, differences paired by seed',
    tables.Column('', 'settings', names),
    tables.columns(columns, comparisons),
  )


def csv(field: str, outcomes: Sequence[Outcome]) -> str:
  """Both tables as CSV, one row per setting or comparison and statistic.

  Columns: kind ('setting' or 'difference'), name, statistic, value, low, high
  (of the 95% interval), seeds (finite ones), total. Unknown values are empty.
  """
  file = io.StringIO()
  write = csv_format.writer(file, lineterminator='\n').writerow
  write(('kind', 'name', 'statistic', 'value', 'low', 'high', 'seeds', 'total'))

  def row(kind: str, name: str, statistic: str, estimate: stats.Estimate):
    numbers = [float(x) for x in estimate[:3]]
    cells = [f'{x:.9g}' if np.isfinite(x) else '' for x in numbers]
    write([kind, name, statistic, *cells, int(estimate.n), estimate.total])

  for each in outcomes:
    values = np.asarray(each.measured[field], float)
    row('setting', each.label, 'mean', stats.mean(values))
    row('setting', each.label, 'median', stats.median(values))
    middle = stats.interquartile_mean(values)
    row('setting', each.label, 'interquartile mean', middle)
    lost = stats.share(int((~np.isfinite(values)).sum()), len(values))
    row('setting', each.label, 'share not finite', lost)
  for each in compare(field, outcomes):
    name = f'{each.b} - {each.a}'
    n, total = each.difference.n, each.difference.total
    nan = np.array(np.nan)
    row('difference', name, 'mean', each.difference)
    row('difference', name, 'effect size', each.effect)
    row('difference', name, 'needed', each.needed)
    for statistic in ('p', 'holm'):
      value = np.array(getattr(each, statistic))
      estimate = stats.Estimate(value, nan, nan, n, total)
      row('difference', name, statistic, estimate)
  return file.getvalue()


def divergence(outcome: Outcome) -> str:
  """How many seeds diverged, when, and their last finite loss."""
  step, loss = (outcome.measured[name] for name in DIVERGENCE)
  lost = np.isfinite(step)
  count, total = int(lost.sum()), len(step)
  share = tables.cell(stats.share(count, total), unit='%')
  if not count:
    return f'diverged: none of {total} seeds, {share} of all'
  steps, losses = step[lost], loss[lost]
  losses = losses[np.isfinite(losses)]
  line = f'diverged: {count} of {total} seeds, {share}'
  line += f', at steps {steps.min():.0f} to {steps.max():.0f} (median '
  line += f'{np.median(steps):.0f})'
  if losses.size:
    line += f', with a last finite loss of {losses.min():.3g} to '
    line += f'{losses.max():.3g}'
  return f'{line}; seeds {_listed(outcome.seeds[lost])}'


def examples(field: str, outcome: Outcome) -> dict[str, int]:
  """The best, the (lower) median and the worst seed; diverged is worst."""
  values = np.asarray(outcome.measured[field], float)
  order = np.argsort(np.where(np.isfinite(values), values, np.inf))
  finite = int(np.isfinite(values).sum())
  middle = order[max(0, finite - 1) // 2]
  chosen = {'best': order[0], 'median': middle, 'worst': order[-1]}
  return {name: int(outcome.seeds[at]) for name, at in chosen.items()}


def _needed(b: np.ndarray, a: np.ndarray) -> stats.Estimate:
  """Seeds needed to see half the difference; NaN if there is none."""
  size = abs(float(stats.paired_difference(b, a).value))
  if not 0 < size < np.inf:
    return stats.mean(np.full(len(a), np.nan))
  return stats.seeds_needed(b, a, size / 2)


def _lost(x: np.ndarray) -> str:
  lost = stats.share(int((~np.isfinite(x)).sum()), len(x))
  return tables.cell(lost, unit='%')


def _needed_text(needed: stats.Estimate) -> str:
  """Numbers of seeds: '34 (20 to 90)'."""
  value, low, high = (float(each) for each in needed[:3])
  if not np.isfinite(value):
    return '-'
  return f'{value:.6g} ({low:.6g} to {high:.6g})'


def _listed(seeds: np.ndarray) -> str:
  more = ' ...' if len(seeds) > 8 else ''
  return ', '.join(map(str, seeds[:8])) + more
