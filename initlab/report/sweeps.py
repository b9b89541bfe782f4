"""The report of a function over seeds: tables, text, page and comparison.

Of each seed the function returns numbers `[]`, vectors `[K]` and arrays of more
axes. Numbers and the entries of vectors are estimated; arrays of more axes are
in the rows alone. The mean of what is true or false is its share, with the
exact interval.
"""

from collections.abc import Mapping
import pathlib
import re
from typing import Any

import numpy as np

from initlab import base, stats
from initlab.engine import files
from initlab.engine.sweep import Sweep
from initlab.report import comparison, page as pages, screen, summary, tables
from initlab.report.plots import over_seeds, style

READING = (
  'How to read: an estimate over seeds [its 95% interval, with the seed as the '
  'unit]. The interval of a mean is exact for normal values, that of a median '
  'for all. The mean of what is true or false is its share. Values that are '
  'not finite are left out.'
)

_ROWS = 12  # entries of a vector up to which a table has them all


def estimated(sweep: Sweep) -> dict[str, np.ndarray]:
  """The numbers `[S]` and vectors `[S, K]`; none without seeds."""
  return {
    name: values
    for name, values in sweep.leaves.items()
    if values.ndim < 3 and values.size
  }


def drawn(sweep: Sweep) -> tuple[str, ...]:
  """The names of the figures: what is estimated, but no single yes or no."""
  return tuple(
    name
    for name, values in estimated(sweep).items()
    if values.ndim == 2 or values.dtype != bool
  )


def contents(sweep: Sweep) -> list[tables.Table]:
  """The table of the numbers, and one of each vector."""
  found = estimated(sweep)
  numbers = {name: each for name, each in found.items() if each.ndim == 1}
  title = 'Numbers, the seed as the unit'
  result = [_table(title, 'number', numbers)] if numbers else []
  for name, values in found.items():
    if values.ndim == 2:
      count = values.shape[1]
      places = np.arange(count)
      title = f'{name}, entry by entry'
      if count > _ROWS:
        places = np.unique(np.linspace(0, count - 1, _ROWS).round().astype(int))
        title += f'; {len(places)} of {count}, the rows have all'
      entries = {str(place): values[:, place] for place in places}
      result.append(_table(title, 'entry', entries))
  return result


def _table(
  title: str, head: str, values: Mapping[str, np.ndarray]
) -> tables.Table:
  columns = {
    ('mean', '95% interval'): lambda x: tables.with_interval(
      stats.mean_or_share(x), stats.FEWEST
    ),
    ('median', '95% interval'): _median,
    ('seeds', 'finite'): lambda x: f'{np.isfinite(x).sum()} of {len(x)}',
    ('single seeds', 'lowest'): lambda x: _end(x, np.min),
    ('single seeds', 'highest'): lambda x: _end(x, np.max),
  }
  return tables.Table(
    title,
    tables.Column('', head, list(values)),
    tables.columns(columns, list(values.values())),
  )


def _median(x: np.ndarray) -> str:
  if x.dtype == bool:
    return '-'
  return tables.with_interval(stats.median(x), stats.quantile_fewest(0.5))


def _end(x: np.ndarray, of: Any) -> str:
  return '-' if x.dtype == bool else tables.extreme(of, x)


def verdict(sweep: Sweep) -> list[str]:
  """A sentence each of what the function returns."""
  found = estimated(sweep).items()
  return [*(_sentence(*each) for each in found), *_not_estimated(sweep)]


def _not_estimated(sweep: Sweep) -> list[str]:
  """A sentence each of what no table has."""
  if not len(sweep.seeds):
    return ['no seed is in the share of this worker']
  found = estimated(sweep)
  return [
    f'{name}, {"x".join(map(str, values.shape[1:]))} a seed: not summarized, '
    'the rows have it'
    for name, values in sweep.leaves.items()
    if name not in found
  ]


def _sentence(name: str, values: np.ndarray) -> str:
  lost = int((~np.isfinite(values)).reshape(len(values), -1).any(1).sum())
  end = f'; not finite for {lost} of {len(values)} seeds' if lost else ''
  if values.ndim == 1:
    if values.dtype == bool:
      return f'{name}: true for {stats.mean_or_share(values):%} of the seeds'
    return f'{name}: mean {stats.mean_or_share(values)}{end}'
  means = [stats.mean_or_share(column) for column in values.T]
  level = [float(each.value) for each in means]
  if np.isnan(level).all():
    return f'{name}, {len(level)} entries{end}'
  low, high = int(np.nanargmin(level)), int(np.nanargmax(level))
  return (
    f'{name}, {len(level)} entries: means from {means[low]}, entry {low}, to '
    f'{means[high]}, entry {high}{end}'
  )


def text(sweep: Sweep, width: int = 80) -> str:
  """The report for a terminal."""
  found = contents(sweep)
  return '\n\n'.join(
    [
      f'{sweep.name} ({summary.seeds_in_words(sweep.seeds)})',
      *(screen.table(each, width) for each in found),
      *_not_estimated(sweep),
    ]
  )


def picture(sweep: Sweep, name: str, svg: str) -> pages.Picture:
  """A figure of a number or vector with its caption."""
  caption = f'{name}. {over_seeds.caption(sweep.leaves[name])}'
  return pages.drawn(_word(name), f'{name} over seeds', svg, caption)


def _word(name: str) -> str:
  """The name of a figure's files."""
  return re.sub(r'\W', '_', name)


def write(sweep: Sweep, facts: Mapping[str, str], place: pathlib.Path) -> None:
  """Writes figures, rows and, last, the page into a folder."""
  figures = {
    name: over_seeds.draw(name, sweep.leaves[name]) for name in drawn(sweep)
  }
  pictures = [
    picture(sweep, name, style.write(figure, place, _word(name)))
    for name, figure in figures.items()
  ]
  files.write_frame(place / 'rows.parquet', sweep.to_frame())
  page = pages.render(
    'sweep.html',
    name=sweep.name,
    summary='A function over seeds',
    introduction=[],
    settings=[setting(sweep)],
    pictures=pictures,
    reading=READING,
    tables=contents(sweep),
    facts=facts,
  )
  files.write_text(place / 'report.html', page)


def setting(sweep: Sweep) -> dict[str, Any]:
  """The template values of a sweep's card; it leads with two numbers."""
  numbers = {
    name: stats.mean_or_share(values)
    for name, values in estimated(sweep).items()
    if values.ndim == 1
  }
  return {
    'label': sweep.name,
    'leads': [
      pages.lead(f'mean {name}', each) for name, each in numbers.items()
    ][:2],
    'seeds': summary.seeds_in_words(sweep.seeds),
    'verdict': verdict(sweep),
    'remarks': [],
  }


def differences(ours: Sweep, theirs: Sweep) -> list[dict[str, Any]]:
  """The tests of theirs minus ours, paired by seed.

  Returns:
    A row a number, and an entry of a vector, that both have: see
    `comparison.as_dict`; `p_holm` is corrected for their number.

  Raises:
    UserError: the root seeds differ, or they share no seed or no number.
  """
  comparison.check_root_seeds('sweeps', ours.root_seed, theirs.root_seed)
  names = ours.name, theirs.name
  places, values = [], []
  others = estimated(theirs)
  for name, each in estimated(ours).items():
    if name in others and others[name].shape[1:] == each.shape[1:]:
      pair = comparison.paired(
        names, (ours.seeds, each), (theirs.seeds, others[name])
      )
      for place in np.ndindex(each.shape[1:]):
        places.append({'leaf': name, 'axis_0': place[0] if place else None})
        values.append((pair[0][:, *place], pair[1][:, *place]))
  if not values:
    raise base.UserError('the sweeps share no number and no vector')
  found = comparison.compare_values([names] * len(values), values)
  return [
    place | comparison.as_dict(each)
    for place, each in zip(places, found, strict=True)
  ]
