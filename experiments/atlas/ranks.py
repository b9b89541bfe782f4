"""Ranks of schemes with ties, and their tables.

Within an activation and a depth, schemes are ranked by a measure of each seed.
The one of the best mean leads. A scheme shares its rank unless the sign-flip
test of the differences to it, paired by seed, has p < 0.05 after Holm's
correction for the schemes of the group. A scheme of which fewer seeds have a
value is behind, as for the choice of a learning rate. The leader is chosen by
the same seeds, which makes ties rarer than their level says.
"""

from collections.abc import Callable, Sequence

import numpy as np

from initlab import stats
from initlab.experiment import Outcome, written
from initlab.report import tables

_LEVEL = 0.05
_NAMED = 3  # schemes that share a rank and are named


def log(values: np.ndarray) -> np.ndarray:
  """Natural logarithms, without a warning at zero or NaN."""
  with np.errstate(divide='ignore', invalid='ignore'):
    return np.log(np.asarray(values, float))


# Heading -> the score of each seed, less is better.
MEASURES: dict[str, Callable[[Outcome], np.ndarray]] = {
  'loss': lambda each: log(each.measured['mean_loss']),
  'signal': lambda each: np.abs(log(each.measured['signal_kept'])),
  'gradient': lambda each: np.abs(log(each.measured['gradient_kept'])),
}
_FIELDS = {
  'loss': 'mean_loss',
  'signal': 'signal_kept',
  'gradient': 'gradient_kept',
}


def best(settings: Sequence[Outcome], measure: str) -> list[Outcome]:
  """The settings that share the first rank, by rising mean score.

  A setting with fewer seeds of a finite score than another is behind it.

  Args:
    settings: of one activation and depth, with the same seeds.
    measure: a key of MEASURES.

  Returns:
    At least one; none if no seed of any setting has a finite score.
  """
  scores = [MEASURES[measure](each) for each in settings]
  counts = [int(np.isfinite(each).sum()) for each in scores]
  if not max(counts):
    return []
  full = [i for i, count in enumerate(counts) if count == max(counts)]
  full.sort(key=lambda i: stats.mean(scores[i]).value)
  leader, *others = full
  p = [
    float(stats.permutation_test(scores[i], scores[leader]).p) for i in others
  ]
  tied = [
    place
    for place, value in zip(others, stats.holm(np.array(p)), strict=True)
    if not value < _LEVEL
  ]
  return [settings[place] for place in (leader, *tied)]


def name(outcome: Outcome) -> str:
  """The scheme of a setting: 'lecun_normal 1.4142'."""
  config = outcome.config
  return f'{written(config.init)} {written(config.gain)}'


def _groups(
  outcomes: Sequence[Outcome],
) -> dict[tuple[int, str], list[Outcome]]:
  """(depth, activation) -> settings, in the order of the run."""
  found: dict[tuple[int, str], list[Outcome]] = {}
  for each in outcomes:
    key = each.config.depth, written(each.config.activation)
    found.setdefault(key, []).append(each)
  return found


def tables_of(outcomes: Sequence[Outcome]) -> list[tables.Table]:
  """How often each scheme is best, then the best ones of each network."""
  groups = _groups(outcomes)
  ranked = {
    (key, measure): best(settings, measure)
    for key, settings in groups.items()
    for measure in MEASURES
  }
  depths = list(dict.fromkeys(depth for depth, _ in groups))
  return [_counts(outcomes, ranked, depths)] + [
    _winners(groups, ranked, depth) for depth in depths
  ]


def _counts(outcomes, ranked, depths) -> tables.Table:
  """For how many activations a scheme shares the first rank."""
  schemes = list(dict.fromkeys(map(name, outcomes)))
  columns = []
  for depth in depths:
    for measure in MEASURES:
      among = [
        {name(each) for each in found}
        for ((at, _), by), found in ranked.items()
        if (at, by) == (depth, measure)
      ]
      cells = [f'{sum(x in each for each in among)}' for x in schemes]
      columns.append(tables.Column(f'depth {depth}', measure, cells))
    lost = [
      [
        each.measured['diverged'].mean()
        for each in outcomes
        if each.config.depth == depth and name(each) == scheme
      ]
      for scheme in schemes
    ]
    cells = [f'{np.mean(each):.1%}' if each else '-' for each in lost]
    columns.append(tables.Column(f'depth {depth}', 'diverged', cells))
  count = len({activation for (_, activation), _ in ranked})
  title = (
    f'Of {count} activations, for how many a scheme is best or tied with the '
    'best; share of trainings that diverge'
  )
  return tables.Table(title, tables.Column('', 'scheme', schemes), columns)


def _winners(groups, ranked, depth: int) -> tables.Table:
  """The best schemes of each activation, and the numbers of the first."""
  rows = [activation for at, activation in groups if at == depth]
  columns = []
  for measure in MEASURES:
    found = [ranked[(depth, row), measure] for row in rows]
    field = _FIELDS[measure]
    values = [
      tables.cell(stats.average(each[0], field)) if each else '-'
      for each in found
    ]
    columns += [
      tables.Column(measure, 'best, ties', [_listed(each) for each in found]),
      tables.Column(measure, 'of the first', values),
    ]
  title = f'The best schemes at depth {depth}, geometric means [95% interval]'
  return tables.Table(title, tables.Column('', 'activation', rows), columns)


def _listed(found: Sequence[Outcome]) -> str:
  """'a = b = c = 2 more'."""
  names = [name(each) for each in found[:_NAMED]]
  rest = len(found) - len(names)
  return ' = '.join([*names, *([f'{rest} more'] if rest else [])]) or '-'
