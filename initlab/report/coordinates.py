"""The report of a coordinate check: table, page and comparison of two checks.

Slopes are of log2 of a root mean square on log2 of the width, means over seeds
with their 95% intervals: 0 is a size that the width does not change.
"""

from collections.abc import Mapping
import pathlib
from typing import Any

from initlab import base, stats
from initlab.engine import files
from initlab.models.coordinates import Coordinates
from initlab.report import comparison, page as pages, tables
from initlab.report.plots import audits as plots, style

TITLE = 'Sizes of activations and of their changes, by width'
CAPTION = 'Lines: geometric means over seeds; bands: their 95% intervals.'
READING = (
  'How to read: slopes of log2 of the root mean square on log2 of the width '
  '[95% interval over seeds], of the activation x_0 before training and of its '
  'change x_t - x_0, averaged over the steps. A slope of 0 is what a '
  'parametrization should have in every site whose output grows with the width.'
)


def table(found: Coordinates) -> tables.Table:
  """The slopes of every site."""
  columns = {'rms x_0': found.start_slope, 'rms x_t - x_0': found.mean_slope}
  sites = range(len(found.sites))
  return tables.Table(
    'Slopes on log2 width',
    tables.Column('', 'site', list(found.sites)),
    [
      tables.Column(group, 'slope', [tables.cell(slope.at(i)) for i in sites])
      for group, slope in columns.items()
    ],
  )


def picture(svg: str) -> pages.Picture:
  """The figure with its caption."""
  return pages.drawn('coordinates', TITLE, svg, CAPTION)


def write(
  found: Coordinates, facts: Mapping[str, str], place: pathlib.Path
) -> None:
  """Writes figure, rows and, last, the page into a folder."""
  svg = style.write(plots.coordinates(found), place, 'coordinates')
  files.write_frame(place / 'rows.parquet', found.to_frame())
  page = pages.render(
    'audit.html',
    name='coordinate check',
    summary='How activations and their changes depend on the width',
    introduction=[],
    findings=[
      {'kind': each.finding, 'leaf': each.site, 'sentence': str(each)}
      for each in found.verdicts
    ],
    healthy=found.healthy,
    judged=found.judged,
    unseen=[],
    pictures=[picture(svg)],
    reading=READING,
    tables=[table(found)],
    facts=facts,
  )
  files.write_text(place / 'report.html', page)


def differences(ours: Coordinates, theirs: Coordinates) -> list[dict[str, Any]]:
  """Slopes of another check minus these, paired by seed.

  Returns:
    A row a site of the same name and `measure`, 'x_0' or 'x_t - x_0': the
    `difference` of the slopes with its 95% interval, `low` to `high`; `pairs`,
    the seeds of both whose slopes are finite; and `total`, the seeds of the
    check that has more.

  Raises:
    UserError: the root seeds differ, or no seed or no site is shared.
  """
  comparison.check_root_seeds('checks', ours.root_seed, theirs.root_seed)
  if not set(ours.sites) & set(theirs.sites):
    raise base.UserError('the checks share no site')
  names = 'the one check', 'the other'
  rows = []
  for measure, mine, other in (
    ('x_0', ours.start_slopes, theirs.start_slopes),
    ('x_t - x_0', ours.mean_slopes, theirs.mean_slopes),
  ):
    for site in ours.sites:
      if site in theirs.sites:
        first, second = comparison.paired(
          names,
          (ours.seeds, mine[:, ours.sites.index(site)]),
          (theirs.seeds, other[:, theirs.sites.index(site)]),
        )
        found = stats.paired_difference(second, first)
        ends = dict(
          zip(('difference', 'low', 'high'), map(float, found[:3]), strict=True)
        )
        seeds = {'pairs': int(found.n), 'total': found.total}
        rows.append({'site': site, 'measure': measure} | ends | seeds)
  return rows
