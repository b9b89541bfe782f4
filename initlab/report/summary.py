"""The numbers of a report: tables, remarks and the CSV file.

Page and terminal show the same tables: the comparison of settings, then the
networks, then the numbers layer by layer.
"""

from collections.abc import Mapping, Sequence
import csv as csv_format
import io
from typing import Any

import numpy as np

from initlab import formatting, stats
from initlab.experiment import DIVERGENCE, Experiment, Outcome, in_words
from initlab.report import comparison, replay, tables, tuning

# Name of a mean over seeds, of `stats.mean_name` -> its kind in CSV and JSON.
MEANS = {
  'mean': 'arithmetic',
  'geometric mean': 'geometric',
  'share': 'share',
}

_RUNS = 8  # of consecutive seeds that are listed
_ROWS = 12  # layers up to which a table shows them all


def csv(outcomes: Sequence[Outcome]) -> str:
  """The summary as a tidy table, one row per setting, layer and measure.

  Args:
    outcomes: the settings.

  Returns:
    CSV with the columns setting, measure, step (empty for a measure of the
    whole training), layer (from 1; empty for a measure of the whole network),
    mean (its kind, of `MEANS`), value, low, high (of the 95% interval over
    seeds), seeds (in the estimate) and theory. Unknown values are empty.
    Samples, `[S, L, V]`, are left out.
  """
  file = io.StringIO()
  write = csv_format.writer(file, lineterminator='\n').writerow
  indices = ['layer']
  if any(each.steps for each in outcomes):
    indices = ['step', 'layer']
  numbers = ('mean', 'value', 'low', 'high', 'seeds', 'theory')
  write(('setting', 'measure', *indices, *numbers))
  for outcome in outcomes:
    fields = [
      field
      for field in outcome.measured
      if 'value' not in axes_of(outcome, field)
    ]
    fields.sort(key=lambda field: len(axes_of(outcome, field)))
    for field in fields:
      estimate = stats.average(outcome, field)
      mean = MEANS[stats.mean_name(outcome, field)]
      theory = np.broadcast_to(theory_of(outcome, field), estimate.value.shape)
      for place in np.ndindex(estimate.value.shape):
        numbers = [part[place] for part in (*estimate[:3], theory)]
        cells = [f'{x:.9g}' if np.isfinite(x) else '' for x in numbers]
        at = dict(zip(axes_of(outcome, field), place, strict=True))
        if 'layer' in at:
          at['layer'] += 1
        if 'step' in at:
          at['step'] = outcome.steps[at['step']]
        where = [at.get(index, '') for index in indices]
        row = [*where, mean, *cells[:3], estimate.n[place], cells[3]]
        write([outcome.label, field, *row])
  return file.getvalue()


def contents(
  experiment: Experiment, outcomes: Sequence[Outcome]
) -> list[tables.Table]:
  """The tables of a run: the answer, comparison, networks, then layers.

  Where there are tables of all settings together, ratios to the first are left
  out.
  """
  joint = experiment.tables(outcomes)
  found = joint + _answered(experiment, outcomes)
  found += _tuned(experiment, outcomes)
  found += [
    table
    for field in experiment.compared
    for table in comparison.all_tables(field, outcomes)
  ]
  ends = [_end(each) for each in outcomes]
  found += [] if joint else [_ratios(ends)]
  found += [_networks(ends), *map(_layers, ends)]
  return [table for table in found if table.index.cells and table.columns]


def answers(
  experiment: Experiment, outcomes: Sequence[Outcome]
) -> list[tables.Table]:
  """The tables that answer the question.

  Those of `experiment.tables`; or else one with a row a setting, that of
  `experiment.answer`; or else of the compared errors, of tuned ones with that
  of the choice before it; or else the first of `contents`.
  """
  if joint := experiment.tables(outcomes):
    return joint
  found = _answered(experiment, outcomes)
  found = found or _tuned(experiment, outcomes)[:2]
  if experiment.compared and not found:
    found = [comparison.in_short(experiment.compared[0], outcomes)]
  ends = [_end(each) for each in outcomes]
  found = found or [_networks(ends), *map(_layers, ends)]
  known = [table for table in found if table.index.cells and table.columns]
  return known[:2] if experiment.tuned else known[:1]


def _answered(
  experiment: Experiment, outcomes: Sequence[Outcome]
) -> list[tables.Table]:
  """The table of `experiment.answer`, if it defines one."""
  rows = [experiment.answer(each) for each in outcomes]
  heads = dict.fromkeys(head for row in rows for head in row)
  columns = [
    tables.Column(*head, [_entry(row.get(head)) for row in rows])
    for head in heads
  ]
  lost = [_finite(row) for row in rows]
  if any(lost):
    columns.append(tables.Column('seeds', 'finite', [x or 'all' for x in lost]))
  index = tables.Column('', 'setting', [each.label for each in outcomes])
  title = 'In short, over seeds [95% interval]'
  return [tables.Table(title, index, columns)] if heads else []


def _entry(value: Any) -> str:
  if isinstance(value, stats.Estimate):
    return tables.cell(value)
  return '-' if value is None else formatting.number(value)


def _finite(row: Mapping[tuple[str, str], Any]) -> str:
  """'30 of 32', the fewest seeds of an estimate; '' if none is missing."""
  counts = [
    (int(each.n), each.total)
    for each in row.values()
    if isinstance(each, stats.Estimate) and each.n < each.total
  ]
  return ' of '.join(map(str, min(counts))) if counts else ''


def _tuned(
  experiment: Experiment, outcomes: Sequence[Outcome]
) -> list[tables.Table]:
  """The tables of the tuned knob and of the settings at their best value."""
  if not experiment.tuned:
    return []
  found = tuning.choices(outcomes, *experiment.tuned)
  if len(found) == len(outcomes):
    return []
  knob, _ = experiment.tuned
  chosen = [tuning.table(found, *experiment.tuned)]
  for field in experiment.compared:
    chosen.append(tuning.errors(field, found, knob))
    pairs = comparison.pairs(found)
    chosen += [tuning.differences(field, pairs, knob)] if pairs else []
  return chosen


def remarks(outcome: Outcome) -> list[str]:
  """Caveats of a setting, beside its verdict.

  Args:
    outcome: one setting.

  Returns:
    Lines: the largest relative distance of a mean from theory, over measures
    that are never negative (a cosine near 0 has no meaningful ratio) and
    estimates with a half interval below a fifth of the value; measures that
    were not finite, or zero in a geometric mean, and for how many seeds; and
    for a training, how many seeds diverged.
  """
  gaps, lines = [], []
  if _trained(outcome):
    diverged = np.isfinite(outcome.measured[DIVERGENCE[0]])
    lines.append(comparison.divergence(outcome))
    if diverged.all():
      return lines
    outcome = _end(outcome)
    rest = {name: x[~diverged] for name, x in outcome.measured.items()}
    outcome = outcome._replace(measured=rest)
  for field in _fields(outcome, 2) + _fields(outcome, 1):
    name = in_words(field)
    values = outcome.measured[field]
    estimate, theory = stats.average(outcome, field), theory_of(outcome, field)
    value = np.asarray(estimate.value)
    known = estimate.high - estimate.low < 0.4 * np.abs(value)
    known = known & _never_negative(outcome, field)
    gaps += [
      (value[*place] / theory[*place] - 1, _at(name, tuple(place)))
      for place in np.argwhere(known & np.isfinite(theory) & (theory != 0))
    ]
    finite = np.isfinite(values)
    lost = ~finite & (finite.any(0) | np.isinf(values).any(0))
    if lost.any():
      lines.append(
        f'{name}: not finite for {_where(lost)}; the summary leaves them out'
      )
    zero = (values == 0) & (values > 0).any(0)
    if field in outcome.geometric and zero.any():
      lines.append(
        f'{name}: zero for {_where(zero)}; the geometric mean leaves them out'
      )
  if gaps:
    gap, where = max(gaps, key=lambda pair: abs(pair[0]))
    lines.insert(0, f'farthest from theory: {gap:+.1%} ({where})')
  return lines


def _where(left_out: np.ndarray) -> str:
  """Which seeds (and layers) of `[S]` or `[S, L]` are left out, in words."""
  seeds = left_out.reshape(len(left_out), -1).any(1).sum()
  layers = np.flatnonzero(left_out.any(0)) + 1
  where = f', layers {layers[0]} to {layers[-1]}' if left_out.ndim == 2 else ''
  return f'{seeds} of {len(left_out)} seeds{where}'


def _trained(outcome: Outcome) -> bool:
  return set(DIVERGENCE) <= set(outcome.measured)


def _end(outcome: Outcome) -> Outcome:
  """The final values of a training as an outcome without a step axis."""
  measured = {
    field: values[:, -1] if 'step' in axes_of(outcome, field) else values
    for field, values in outcome.measured.items()
    if field not in DIVERGENCE and axes_of(outcome, field) != ('step',)
  }
  return outcome._replace(measured=measured)


def axes_of(outcome: Outcome, field: str) -> tuple[str, ...]:
  """The axes of a measure, without that of seeds."""
  shape = outcome.measured[field].shape[1:]
  return outcome.axes.get(field, ('layer', 'value')[: len(shape)])


def _ratios(outcomes: Sequence[Outcome]) -> tables.Table:
  """Ratios of the other settings to the first, at the first and last layer."""
  first, *others = outcomes
  index: list[str] = []
  columns = [tables.Column(each.label, 'ratio', []) for each in others]
  fields = [
    field
    for field in _fields(first, 2) + _fields(first, 1)
    if field not in first.shares
    and all(_never_negative(each, field) for each in outcomes)
  ]
  for field in fields:
    known = np.argwhere(np.isfinite(first.measured[field]).any(0))
    for place in dict.fromkeys(
      map(tuple, known[[0, -1]] if len(known) else ())
    ):
      cells = [_ratio(field, place, other, first) for other in others]
      if set(cells) != {'-'}:
        index.append(_at(in_words(field), place))
        for column, cell in zip(columns, cells, strict=True):
          column.cells.append(cell)
  title = f'Ratio to {first.label}, paired by seed [95% interval]'
  return tables.Table(title, tables.Column('', 'measure', index), columns)


def _never_negative(outcome: Outcome, field: str) -> bool:
  return not np.any(outcome.measured[field] < 0)


def _ratio(
  field: str, place: tuple[int, ...], other: Outcome, first: Outcome
) -> str:
  if other.measured[field].shape[1:] != first.measured[field].shape[1:]:
    return 'other depth'
  _, mine, its = np.intersect1d(other.seeds, first.seeds, return_indices=True)
  above = other.measured[field][mine][:, *place]
  below = first.measured[field][its][:, *place]
  positive = (above > 0) & (below > 0)
  ratio = stats.paired_ratio(
    np.where(positive, above, np.nan), np.where(positive, below, np.nan)
  )
  return tables.cell(ratio)


def _networks(outcomes: Sequence[Outcome]) -> tables.Table:
  columns = []
  for field in _fields(outcomes[0], 1):
    cells = [tables.cell(stats.average(each, field)) for each in outcomes]
    theory = np.array([theory_of(each, field) for each in outcomes])
    columns += _measured(outcomes[0], field, cells, theory)
  index = [each.label for each in outcomes]
  return tables.Table(
    'Whole network', tables.Column('', 'setting', index), columns
  )


def _layers(outcome: Outcome) -> tables.Table:
  fields = _fields(outcome, 2)
  depth = max((outcome.measured[each].shape[1] for each in fields), default=0)
  rows = np.arange(depth)
  after = f' after {outcome.steps[-1]} steps' if outcome.steps else ''
  title = (
    f'{outcome.label}, layer by layer{after} ({seeds_in_words(outcome.seeds)})'
  )
  if depth > _ROWS:
    rows = np.unique(np.linspace(0, depth - 1, _ROWS - 2).round().astype(int))
    title += f'; {len(rows)} of {depth} layers, the CSV file has all'
  columns = []
  for field in fields:
    estimate, theory = stats.average(outcome, field), theory_of(outcome, field)
    cells = [tables.cell(estimate.at(row)) for row in rows]
    columns += _measured(outcome, field, cells, theory[rows])
  index = [str(row + 1) for row in rows[:-1]] + [f'{depth} out']
  return tables.Table(title, tables.Column('', 'layer', index), columns)


def _measured(
  outcome: Outcome, field: str, cells: list[str], theory: np.ndarray
) -> list[tables.Column]:
  """The columns of one measure, with theory if there is one."""
  name = in_words(field)
  columns = [tables.Column(name, stats.mean_name(outcome, field), cells)]
  if np.isfinite(theory).any():
    said = [formatting.number(each) for each in theory]
    columns.append(tables.Column(name, 'theory', said))
  return columns


def _fields(outcome: Outcome, axes: int) -> list[str]:
  """Fields with `axes` axes: 1 for the network, 2 for its layers."""
  return [
    field
    for field, values in outcome.measured.items()
    if values.ndim == axes and 'value' not in axes_of(outcome, field)
  ]


def theory_of(outcome: Outcome, field: str) -> np.ndarray:
  """What is predicted of a measure, in its shape; NaN where unknown."""
  shape = outcome.measured[field].shape[1:]
  return np.broadcast_to(outcome.predicted.get(field, np.nan), shape)


def _at(name: str, place: tuple[int, ...]) -> str:
  return ', layer '.join([name, *(str(index + 1) for index in place)])


def seeds_in_words(seeds: np.ndarray) -> str:
  """'32 seeds, 0 to 31', with a note if there are too few for an interval.

  Examples:
    >>> seeds_in_words(np.array([0, 1, 2, 3, 17]))
    '5 seeds, 0 to 3, 17'
  """
  count = len(seeds)
  if count == 0:
    return 'no seeds'
  if count == 1:
    return f'seed {seeds[0]} alone, so no interval'
  runs = [
    f'{run[0]} to {run[-1]}' if len(run) > 1 else str(run[0])
    for run in replay.consecutive(seeds)
  ]
  more = ' ...' if len(runs) > _RUNS else ''
  text = f'{count} seeds, {", ".join(runs[:_RUNS])}{more}'
  if count < stats.FEWEST:
    text += f'; intervals need {stats.FEWEST}'
  return text


def first_line(doc: str) -> str:
  """The summary line of a docstring, without its period."""
  return doc.strip().partition('\n')[0].removesuffix('.')
