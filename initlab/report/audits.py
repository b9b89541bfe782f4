"""The report of an audit: tables, text and page.

Numbers are means over seeds with their 95% intervals: geometric ones of second
moments and their ratios, which range over decades, arithmetic ones of means,
losses, shares, cosines and depths, which have signs or bounds. Seeds that have
none are left out, and the cell says how many there are.
Of a place in a loop there is a row for the first iteration and one for the
last.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import pathlib
from typing import Any

import numpy as np

from initlab import stats
from initlab.engine import files
from initlab.models import judgeable, places
from initlab.models.audit import Audit
from initlab.models.coordinates import Coordinates
from initlab.models.finding import Finding
from initlab.report import (
  as_json,
  page as pages,
  replay,
  tables,
  text as full,
)
from initlab.report.plots import audits as plots, style

READING = (
  'How to read: [95% interval over seeds]. rms is a root mean square over the '
  'batch, positions and units together; s is the output of a site with its '
  'bias, g the gradient with respect to it. Predicted: rms s if the weights '
  'are independent of each other and of the input. Of a loop, the first and '
  'the last iteration. Means are geometric, but for those of means, losses, '
  'shares, cosines and depths. Values that are not finite are left out, and '
  'zeros of a geometric mean; then the cell says how many seeds remain.'
)

# Column -> the measure, and whether its root is shown.
_SITES: dict[tuple[str, str], tuple[str, bool]] = {
  ('weights', 'n_in Var w'): ('weight_variance', False),
  ('rms s', 'measured'): ('forward_square', True),
  ('rms s', 'predicted'): ('predicted_square', True),
  ('rms g', 'measured'): ('backward_square', True),
  ('rms dC/dw', 'measured'): ('weight_gradient', False),
}
_ACTIVATIONS: dict[tuple[str, str], tuple[str, bool]] = {
  ('rms f', 'measured'): ('output_square', True),
  ('rms f', 'predicted'): ('predicted_square', True),
  ('units', 'dead'): ('dead', False),
  ('units', 'saturated'): ('saturated', False),
  ('error', 'growth of its square'): ('chi', False),
  ('error', 'layers to tenfold'): ('tenfold_depth', False),
}
_RESIDUALS: dict[tuple[str, str], tuple[str, bool]] = {
  ('rms', 'branch over stream'): ('branch_over_skip', False),
  ('rms', 'sum over stream'): ('growth', False),
  ('cosine', 'of two tokens'): ('token_cosine', False),
}
# Beside means: what may be negative, and shares, whose zeros count.
_ARITHMETIC = (
  'dead',
  'saturated',
  'token_cosine',
  'correlation',
  'loss',
  'even_loss',
  'tenfold_depth',
)


def average(measure: str, values: np.ndarray) -> stats.Estimate:
  """The mean over seeds `[S]`, of the kind that the measure has."""
  if measure in _ARITHMETIC or measure.endswith('mean'):
    return stats.mean(values)
  return stats.geometric_mean(values)


def _shown(found: stats.Estimate, unit: str = '') -> str:
  """An estimate, and how many seeds are in it if some are left out."""
  text = tables.cell(found, unit)
  if 0 < found.n < found.total:
    return f'{text} ({found.n} of {found.total} seeds)'
  return text


def contents(audit: Audit) -> list[tables.Table]:
  """Sites, activations, residual adds and the model as a whole."""
  found = [
    _table('Sites', 'site', audit.sites, _SITES, _of_site),
    _table('Activations', 'activation', audit.activations, _ACTIVATIONS),
    _table('Residual adds', 'add', audit.residuals, _RESIDUALS),
    _whole(audit),
  ]
  return [table for table in found if table.index.cells]


def _short(audit: Audit) -> tables.Table:
  """The sites, with what answers the question."""
  columns = {
    (head, ''): _SITES[column]
    for head, column in (
      ('n_in Var w', ('weights', 'n_in Var w')),
      ('rms s', ('rms s', 'measured')),
      ('rms dC/ds', ('rms g', 'measured')),
    )
  }
  return _table('Sites', 'site', audit.sites, columns)


def _ends(values: np.ndarray) -> list[tuple[str, np.ndarray]]:
  """Of a place in a loop, the first iteration and the last, `[S]` each."""
  flat = places.by_iteration(values)
  last = flat.shape[1]
  if last == 1:
    return [('', flat[:, 0])]
  return [(f' 1 of {last}', flat[:, 0]), (f' {last}', flat[:, -1])]


def _table(
  title: str,
  head: str,
  found: Sequence[Any],
  columns: Mapping[tuple[str, str], tuple[str, bool]],
  facts: Callable[[Any], dict[str, str]] = lambda place: {},
) -> tables.Table:
  names: list[str] = []
  listed: dict[str, list[str]] = {}
  cells: dict[tuple[str, str], list[str]] = {column: [] for column in columns}
  for place in found:
    first = next(iter(place.measured.values()))
    for end, (suffix, _) in enumerate(_ends(first)):
      names.append(f'{place.name}{suffix}')
      for name, fact in facts(place).items():
        listed.setdefault(name, []).append(fact)
      for column, (measure, root) in columns.items():
        cells[column].append(_cell(place.measured, measure, end, root))
  return tables.Table(
    title,
    tables.Column('', head, names),
    [tables.Column('', name, column) for name, column in listed.items()]
    + [
      tables.Column(group, name, column)
      for (group, name), column in cells.items()
      if any(cell != '-' for cell in column)
    ],
  )


def _cell(measured: places.Measured, measure: str, end: int, root: bool) -> str:
  if measure not in measured:
    return '-'
  _, values = _ends(measured[measure])[end]
  values = np.sqrt(values) if root else values
  unit = '%' if measure in ('dead', 'saturated') else ''
  return _shown(average(measure, values), unit)


def _of_site(site: places.Site) -> dict[str, str]:
  shape = 'x'.join(map(str, site.shape))
  return {'kind': site.kind, 'shape': shape, 'fan-in': str(site.n_in)}


def _whole(audit: Audit) -> tables.Table:
  names = [
    name for name, values in audit.measured.items() if np.isfinite(values).any()
  ]
  what = places.MEASURES['model']
  found = [_shown(average(name, audit.measured[name])) for name in names]
  return tables.Table(
    'The model as a whole',
    tables.Column('', 'measure', [what[name] for name in names]),
    [tables.Column('', 'over seeds', found)],
  )


def verdict(audit: Audit, findings: Sequence[Finding]) -> list[str]:
  """The answer: a sentence a finding, and what the audit did not judge."""
  lines = [f'{each.kind}: {each.sentence}' for each in findings]
  return (lines or [healthy(audit)]) + unjudged(audit) + unseen(audit)


def healthy(audit: Audit) -> str:
  """The answer where nothing is found."""
  sites = _counted(len(audit.sites), 'site')
  over = f'{sites}, over {_counted(len(audit.seeds), "seed")}'
  if judgeable.unjudged(audit):
    return f'nothing is found at {over}, but not everything could be judged'
  return f'nothing is wrong at {over}'


def _counted(number: int, what: str) -> str:
  """'3 seeds'; '1 seed'."""
  return f'{number} {what}' if number == 1 else f'{number} {what}s'


def unjudged(audit: Audit) -> list[str]:
  """What there are too few seeds to judge."""
  return [str(each) for each in judgeable.unjudged(audit)]


def seeds(found: Audit | Coordinates) -> dict[str, str]:
  """The facts that say which keys were drawn from."""
  written = replay.seeds_written(found.seeds)
  return {
    'seeds': f'{written} ({len(found.seeds)} in all)',
    'root seed': str(found.root_seed),
  }


def unseen(audit: Audit) -> list[str]:
  """What the audit did not look into."""
  return [
    f'not audited: {each.operation}'
    + (f' at {each.where}' if each.where else '')
    + (f', {each.products} matrix products inside' if each.products else '')
    + f', {each.why}'
    for each in audit.opaque
  ]


def text(
  audit: Audit,
  findings: Sequence[Finding],
  facts: Mapping[str, str],
  width: int = 100,
  *,
  verbose: bool = False,
) -> str:
  """The report for a terminal: verdict, tables, and how to run it again.

  Args:
    audit: what was measured.
    findings: what is wrong.
    facts: what decides the numbers, and where the files are.
    width: columns of the terminal.
    verbose: whether to print all tables, not just that of the sites.
  """
  lines = [
    full.wrap(line, width, '  ', '    ') for line in verdict(audit, findings)
  ]
  parts = ['\n'.join(['verdict', *lines])]
  shown = contents(audit) if verbose else [_short(audit), _whole(audit)]
  parts += [f'{each.title}\n\n{tables.grid(each, width)}' for each in shown]
  if verbose:
    parts.append(full.wrap(READING, width))
  margin = max(map(len, facts), default=0) + 2
  parts.append('\n'.join(f'{k.ljust(margin)}{v}' for k, v in facts.items()))
  return '\n\n'.join(part for part in parts if part) + '\n'


def page(
  name: str,
  audit: Audit,
  findings: Sequence[Finding],
  facts: Mapping[str, str],
  pictures: Sequence[pages.Picture],
) -> str:
  """The report as one HTML page that needs no other file and no network."""
  return pages.render(
    'audit.html',
    name='audit',
    summary=f'What the initialization of {name} does',
    introduction=[],
    findings=findings,
    healthy=healthy(audit),
    judged=not judgeable.unjudged(audit),
    unseen=unjudged(audit) + unseen(audit),
    pictures=pictures,
    reading=READING,
    tables=contents(audit),
    facts=facts,
  )


def picture(name: str, svg: str) -> pages.Picture:
  """A figure of an audit with its caption."""
  each = plots.FIGURES[name]
  return pages.drawn(name, each.title, svg, each.caption)


def write(
  name: str,
  audit: Audit,
  findings: Sequence[Finding],
  facts: Mapping[str, str],
  place: pathlib.Path,
) -> None:
  """Writes figures, rows, JSON and, last, the page into a folder."""
  pictures = [
    picture(figure, style.write(plots.draw(audit, figure), place, figure))
    for figure in plots.names(audit)
  ]
  files.write_frame(place / 'rows.parquet', audit.to_frame())
  content = as_dict(name, audit, findings, facts)
  document = as_json.document('audit', {'audits': [content]})
  files.write_text(place / 'report.json', document)
  html = page(name, audit, findings, facts, pictures)
  files.write_text(place / 'report.html', html)


def as_dict(
  name: str,
  audit: Audit,
  findings: Sequence[Finding],
  facts: Mapping[str, str],
) -> dict[str, Any]:
  """The outcome for machines: findings, measures with intervals, facts."""
  return {
    'model': name,
    'seeds': audit.seeds.tolist(),
    'findings': [
      {
        'kind': each.kind,
        'leaf': each.leaf,
        'site': each.site,
        'factor': as_json.estimate(each.factor),
        'sentence': each.sentence,
      }
      for each in findings
    ],
    'not_judged': unjudged(audit),
    'not_audited': unseen(audit),
    'places': [
      {
        'kind': kind,
        'name': place.name,
        'measured': {
          measure: [
            as_json.estimate(average(measure, column))
            for column in _columns(values)
          ]
          for measure, values in place.measured.items()
        },
      }
      for kind, place in audit.all_places
    ],
    'measured': {
      measure: as_json.estimate(average(measure, values))
      for measure, values in audit.measured.items()
    },
    'facts': dict(facts),
  }


def _columns(values: np.ndarray) -> Iterable[np.ndarray]:
  return places.by_iteration(values).T
