"""One run as a page a person reads, and the same as text in a terminal.

Both are made of the same tables. The verdict comes first, then how the settings
compare, then the numbers layer by layer, then all that decides the bits. Every
estimate is `stats.average` over seeds, the numbers of the pictures.
"""

from collections.abc import Mapping, Sequence
import csv as csv_format
import dataclasses
import html
from importlib import resources
import io
import itertools
import re
import string
import textwrap

import numpy as np

from initlab import base, claims, comparison, plots, stats, tables, tuning

_ROWS = 12  # layers up to which a table shows them all
_READING = (
  'How to read: a measured number is a mean over seeds [its 95% interval, the '
  'seed as the unit, rounded outward]. What is positive and ranges over '
  'decades has the geometric mean, and its head says so; ratios have it, too. '
  'Their intervals are Student t of the logarithms, exact for log-normal '
  'values, those of the other means are exact for normal values, and none is '
  f'of fewer than {stats.FEWEST} seeds. A seed draws the same numbers in '
  'every setting, so an interval that leaves out 1 is a difference. Theory is '
  'what the papers predict. A dash: not defined there, or not finite for any '
  'seed. The last layer, "out", is the output.'
)


def text(
  experiment: base.Experiment,
  outcomes: Sequence[base.Outcome],
  facts: Mapping[str, str],
  width: int = 80,
) -> str:
  """The report for a terminal or a pipe.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one; the others are compared to the first.
    facts: what decides the bits, and where the files are; printed as given.
    width: columns of the terminal. Tables that are wider are cut into pieces.

  Returns:
    Lines of plain text.
  """
  parts = [f'{experiment.name}: {first_line(experiment.doc)}']
  findings = claims.findings(experiment.claims, outcomes)
  found = claims_text(experiment.claims, findings, base.MARKS, width)
  parts += [f'claims\n{found}'] * bool(found)
  for outcome in outcomes:
    lines = [*experiment.verdict(outcome), *remarks(outcome)]
    parts.append(
      '\n'.join(
        [
          f'{outcome.label} ({_seeds(outcome)})',
          *(_wrap(line, width, '  ', '    ') for line in lines),
        ]
      )
    )
  parts += [
    f'{table.title}\n\n{tables.grid(table, width)}'
    for table in contents(experiment, outcomes)
  ]
  parts.append(_wrap(_READING, width, '', ''))
  margin = max(map(len, facts), default=0) + 2
  parts.append(
    '\n'.join(
      _wrap(fact, width, name.ljust(margin), ' ' * margin)
      for name, fact in facts.items()
    )
  )
  return '\n\n'.join(parts) + '\n'


def page(
  experiment: base.Experiment,
  outcomes: Sequence[base.Outcome],
  facts: Mapping[str, str],
  figures: Sequence[str],
) -> str:
  """The report as one HTML page that needs no other file and no network.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one; the others are compared to the first.
    facts: what decides the bits, and where the files are; printed as given.
    figures: one SVG document a panel of the experiment, in its order.

  Returns:
    The HTML document.

  Raises:
    ValueError: there are more or fewer figures than panels.
  """
  pictures = [
    figure_html(f'figure{place}', panel, outcomes, svg)
    for place, (panel, svg) in enumerate(
      zip(experiment.panels, figures, strict=True)
    )
  ]
  findings = claims.findings(experiment.claims, outcomes)
  found = claims_html(experiment.claims, findings, base.MARKS)
  return filled(
    'report.html',
    name=html.escape(experiment.name),
    summary=html.escape(first_line(experiment.doc)),
    claims=f'<h2>Claims</h2>\n{found}' if found else '',
    introduction=f'<p>{html.escape(_question(experiment))}</p>',
    doc=html.escape(experiment.doc.strip()),
    verdicts='\n'.join(_verdict_html(experiment, each) for each in outcomes),
    figures='\n'.join(pictures),
    tables='\n'.join(map(table_html, contents(experiment, outcomes))),
    reading=html.escape(_READING),
    facts=facts_html(facts),
    settings=table_html(_configs(outcomes)),
  )


def filled(
  main: str, *, name: str, summary: str, introduction: str, **parts: str
) -> str:
  """A page in the frame and style of all pages.

  Args:
    main: the package's file of what is below the introduction.
    name: of the program.
    summary: the headline.
    introduction: paragraphs below it.
    **parts: what fills the main part.
  """
  files = resources.files('initlab')
  read = lambda file: files.joinpath(file).read_text('utf-8')
  return string.Template(read('page.html')).substitute(
    style=read('page.css'),
    name=name,
    summary=summary,
    introduction=introduction,
    main=string.Template(read(main)).substitute(parts),
  )


def claims_text(
  stated: Sequence[base.Claim],
  findings: Sequence[base.Finding],
  marks: Sequence[str],
  width: int,
) -> str:
  """What was found of claims, for a terminal; nothing of no claims."""
  margin = max(map(len, marks)) + 4
  return '\n'.join(
    _wrap(
      f'{claim.name}: {claim.text} ({claim.source})',
      width,
      '  ' + claims.mark(finding, marks).ljust(margin - 2),
      ' ' * margin,
    )
    + '\n'
    + _wrap(finding.evidence, width, *[' ' * (margin + 2)] * 2)
    for claim, finding in zip(stated, findings, strict=True)
  )


def claims_html(
  stated: Sequence[base.Claim],
  findings: Sequence[base.Finding],
  marks: Sequence[str],
) -> str:
  """What was found of claims, as a list."""
  items = '\n'.join(
    f'<li>{mark_html(finding, marks)} '
    f'<strong>{html.escape(claim.name)}</strong> {html.escape(claim.text)} '
    f'<small>{html.escape(claim.source)}</small>'
    f'<div class="notes">{html.escape(finding.evidence)}</div></li>'
    for claim, finding in zip(stated, findings, strict=True)
  )
  return f'<ul class="claims">\n{items}\n</ul>' if items else ''


def mark_html(finding: base.Finding, marks: Sequence[str]) -> str:
  """What was found, in a word and a colour."""
  kind = {True: 'holds', False: 'fails', None: 'open'}[finding.holds]
  word = html.escape(claims.mark(finding, marks))
  return f'<span class="mark {kind}">{word}</span>'


def facts_html(facts: Mapping[str, str]) -> str:
  """Facts as the entries of a list of descriptions."""
  return '\n'.join(
    f'<dt>{html.escape(name)}</dt><dd>{html.escape(fact)}</dd>'
    for name, fact in facts.items()
  )


def csv(outcomes: Sequence[base.Outcome]) -> str:
  """The summary as a tidy table, one row a setting, layer and measure.

  Args:
    outcomes: the settings.

  Returns:
    CSV with the columns setting, measure, of a training step (empty for a
    measure of the whole), layer (from 1; empty for a measure of the whole
    network), mean ('geometric' or 'arithmetic'), value, low, high (of the 95%
    interval over seeds), seeds (that are in it) and theory. What is unknown is
    empty. Samples, `[S, L, V]`, are left out.
  """
  file = io.StringIO()
  write = csv_format.writer(file, lineterminator='\n').writerow
  indices = ['step'] * any(each.steps for each in outcomes) + ['layer']
  numbers = ('mean', 'value', 'low', 'high', 'seeds', 'theory')
  write(('setting', 'measure', *indices, *numbers))
  for outcome in outcomes:
    fields = [
      field
      for field in outcome.measured
      if 'value' not in _axes(outcome, field)
    ]
    fields.sort(key=lambda field: len(_axes(outcome, field)))
    for field in fields:
      estimate = stats.average(outcome, field)
      mean = 'geometric' if field in outcome.geometric else 'arithmetic'
      theory = np.broadcast_to(_theory(outcome, field), estimate.value.shape)
      for place in np.ndindex(estimate.value.shape):
        numbers = [part[place] for part in (*estimate[:3], theory)]
        cells = [f'{x:.9g}' if np.isfinite(x) else '' for x in numbers]
        at = dict(zip(_axes(outcome, field), place, strict=True))
        if 'layer' in at:
          at['layer'] += 1
        if 'step' in at:
          at['step'] = outcome.steps[at['step']]
        where = [at.get(index, '') for index in indices]
        row = [*where, mean, *cells[:3], estimate.n[place], cells[3]]
        write([outcome.label, field, *row])
  return file.getvalue()


def contents(
  experiment: base.Experiment, outcomes: Sequence[base.Outcome]
) -> list[tables.Table]:
  """The tables of a run: the comparison, the networks, then layer by layer."""
  found = _tuned(experiment, outcomes)
  found += [
    table
    for field in experiment.compared
    for table in comparison.all_tables(field, outcomes)
  ]
  ends = [_end(each) for each in outcomes]
  found += [_ratios(ends), _networks(ends), *map(_layers, ends)]
  return [table for table in found if table.index.cells and table.columns]


def _tuned(
  experiment: base.Experiment, outcomes: Sequence[base.Outcome]
) -> list[tables.Table]:
  """What is chosen for each setting, and how the chosen compare."""
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


def remarks(outcome: base.Outcome) -> list[str]:
  """What a reader must know of a setting beside its verdict.

  Args:
    outcome: one setting.

  Returns:
    Lines: how far the mean is from theory where it is farthest, of the values
    that are known to a fifth of themselves (a share of units that is about zero
    is not), which measures were not finite for how many seeds or left zeros out
    of a geometric mean, and of a training, how many seeds diverged; nothing
    else counts those.
  """
  gaps, lines = [], []
  if _trained(outcome):
    diverged = np.isfinite(outcome.measured[base.DIVERGENCE[0]])
    lines.append(comparison.divergence(outcome))
    if diverged.all():
      return lines
    outcome = _end(outcome)
    rest = {name: x[~diverged] for name, x in outcome.measured.items()}
    outcome = outcome._replace(measured=rest)
  for field in _fields(outcome, 2) + _fields(outcome, 1):
    name = base.in_words(field)
    values = outcome.measured[field]
    estimate, theory = stats.average(outcome, field), _theory(outcome, field)
    value = np.asarray(estimate.value)
    known = estimate.high - estimate.low < 0.4 * np.abs(value)
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
  """Of `[S]` or `[S, L]`: how many seeds, and from which layer to which."""
  seeds = left_out.reshape(len(left_out), -1).any(1).sum()
  layers = np.flatnonzero(left_out.any(0)) + 1
  where = f', layers {layers[0]} to {layers[-1]}' if left_out.ndim == 2 else ''
  return f'{seeds} of {len(left_out)} seeds{where}'


def _trained(outcome: base.Outcome) -> bool:
  return set(base.DIVERGENCE) <= set(outcome.measured)


def _end(outcome: base.Outcome) -> base.Outcome:
  """What a training ends with, measured as if there had been none."""
  measured = {
    field: values[:, -1] if 'step' in _axes(outcome, field) else values
    for field, values in outcome.measured.items()
    if field not in base.DIVERGENCE and _axes(outcome, field) != ('step',)
  }
  return outcome._replace(measured=measured)


def _axes(outcome: base.Outcome, field: str) -> tuple[str, ...]:
  shape = outcome.measured[field].shape[1:]
  return outcome.axes.get(field, ('layer', 'value')[: len(shape)])


def _ratios(outcomes: Sequence[base.Outcome]) -> tables.Table:
  """The other settings over the first, at the first and the last layer."""
  first, *others = outcomes
  index: list[str] = []
  columns = [tables.Column(each.label, 'ratio', []) for each in others]
  for field in _fields(first, 2) + _fields(first, 1):
    known = np.argwhere(np.isfinite(first.measured[field]).any(0))
    for place in dict.fromkeys(
      map(tuple, known[[0, -1]] if len(known) else ())
    ):
      cells = [_ratio(field, place, other, first) for other in others]
      if set(cells) != {'-'}:
        index.append(_at(base.in_words(field), place))
        for column, cell in zip(columns, cells, strict=True):
          column.cells.append(cell)
  title = f'Ratio to {first.label}, paired by seed [95% interval]'
  return tables.Table(title, tables.Column('', 'measure', index), columns)


def _ratio(
  field: str, place: tuple[int, ...], other: base.Outcome, first: base.Outcome
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


def _networks(outcomes: Sequence[base.Outcome]) -> tables.Table:
  columns = []
  for field in _fields(outcomes[0], 1):
    cells = [tables.cell(stats.average(each, field)) for each in outcomes]
    theory = np.array([_theory(each, field) for each in outcomes])
    columns += _measured(outcomes[0], field, cells, theory)
  index = [each.label for each in outcomes]
  return tables.Table(
    'Whole network', tables.Column('', 'setting', index), columns
  )


def _layers(outcome: base.Outcome) -> tables.Table:
  fields = _fields(outcome, 2)
  depth = max((outcome.measured[each].shape[1] for each in fields), default=0)
  rows = np.arange(depth)
  after = f' after {outcome.steps[-1]} steps' if outcome.steps else ''
  title = f'{outcome.label}, layer by layer{after} ({_seeds(outcome)})'
  if depth > _ROWS:
    rows = np.unique(np.linspace(0, depth - 1, _ROWS - 2).round().astype(int))
    title += f'; {len(rows)} of {depth} layers, all are in the table file'
  columns = []
  for field in fields:
    estimate, theory = stats.average(outcome, field), _theory(outcome, field)
    cells = [tables.cell(estimate, row) for row in rows]
    columns += _measured(outcome, field, cells, theory[rows])
  index = [str(row + 1) for row in rows[:-1]] + [f'{depth} out']
  return tables.Table(title, tables.Column('', 'layer', index), columns)


def _measured(
  outcome: base.Outcome, field: str, cells: list[str], theory: np.ndarray
) -> list[tables.Column]:
  """The columns of one measure; theory only where there is one."""
  name = base.in_words(field)
  columns = [tables.Column(name, stats.mean_name(outcome, field), cells)]
  if np.isfinite(theory).any():
    said = [tables.number(each) for each in theory]
    columns.append(tables.Column(name, 'theory', said))
  return columns


def _fields(outcome: base.Outcome, axes: int) -> list[str]:
  """Fields with that many axes: 1 for a whole network, 2 for layers."""
  return [
    field
    for field, values in outcome.measured.items()
    if values.ndim == axes and 'value' not in _axes(outcome, field)
  ]


def _theory(outcome: base.Outcome, field: str) -> np.ndarray:
  shape = outcome.measured[field].shape[1:]
  return np.broadcast_to(outcome.predicted.get(field, np.nan), shape)


def _at(name: str, place: tuple[int, ...]) -> str:
  return ', layer '.join([name, *(str(index + 1) for index in place)])


def _seeds(outcome: base.Outcome) -> str:
  count = len(outcome.seeds)
  if count == 1:
    return f'seed {outcome.seeds[0]} alone, so no interval'
  few = f'; intervals need {stats.FEWEST}' * (count < stats.FEWEST)
  return f'{count} seeds, {outcome.seeds[0]} to {outcome.seeds[-1]}{few}'


def first_line(doc: str) -> str:
  """Of a docstring: what the program is."""
  return doc.strip().partition('\n')[0]


def _question(experiment: base.Experiment) -> str:
  """The paragraph 'Question:' of the docstring, or its first line."""
  found = re.search(r'^Question:(.*?)(?=^\S|\Z)', experiment.doc, re.M | re.S)
  if not found:
    return first_line(experiment.doc)
  return ' '.join(found.group(1).split())


def _configs(outcomes: Sequence[base.Outcome]) -> tables.Table:
  """Every knob of every setting, first those in which settings differ."""
  knobs = [each.name for each in dataclasses.fields(outcomes[0].config)]
  values = {
    knob: [str(getattr(each.config, knob)) for each in outcomes]
    for knob in knobs
  }
  knobs.sort(key=lambda knob: len(set(values[knob])) == 1)
  columns = [
    tables.Column(each.label, 'value', [values[knob][place] for knob in knobs])
    for place, each in enumerate(outcomes)
  ]
  return tables.Table(
    'Every setting in full', tables.Column('', 'knob', knobs), columns
  )


def _wrap(line: str, width: int, first: str, others: str) -> str:
  return textwrap.fill(
    line,
    width,
    initial_indent=first,
    subsequent_indent=others,
    break_long_words=False,
    break_on_hyphens=False,
  )


def _verdict_html(experiment: base.Experiment, outcome: base.Outcome) -> str:
  verdict = _items(experiment.verdict(outcome), 'verdict')
  notes = _items(remarks(outcome), 'notes')
  return (
    f'<section class="card"><h3>{html.escape(outcome.label)} '
    f'<small>{_seeds(outcome)}</small></h3>{verdict}{notes}</section>'
  )


def _items(lines: Sequence[str], kind: str) -> str:
  items = ''.join(f'<li>{html.escape(line)}</li>' for line in lines)
  return f'<ul class="{kind}">{items}</ul>' if lines else ''


def figure_html(
  name: str, panel: base.Panel, outcomes: Sequence[base.Outcome], svg: str
) -> str:
  """One picture with its caption; the name is unique in the page."""
  title = html.escape(f'{panel.title}: {panel.label}')
  caption = html.escape(plots.caption(panel, outcomes))
  return (
    f'<figure><div class="picture" role="img" aria-label="{title}">'
    f'{_inline(svg, f"{name}-")}</div>'
    f'<figcaption>{caption}</figcaption></figure>'
  )


def _inline(svg: str, prefix: str) -> str:
  """The <svg> element, its ids made unique within a page by the prefix."""
  element = svg[svg.index('<svg') :]
  return re.sub(r'(\bid="|href="#|url\(#)', rf'\g<1>{prefix}', element)


def table_html(table: tables.Table) -> str:
  """A table that scrolls by itself where it is wider than the page."""
  groups = itertools.groupby(table.columns, lambda each: each.group)
  top = ''.join(
    f'<th scope="colgroup" colspan="{len(list(columns))}">'
    f'{html.escape(name)}</th>'
    for name, columns in groups
  )
  heads = ''.join(
    f'<th scope="col">{html.escape(each.head)}</th>' for each in table.columns
  )
  rows = '\n'.join(
    f'<tr><th scope="row">{html.escape(name)}</th>'
    + ''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)
    + '</tr>'
    for name, *cells in zip(
      table.index.cells, *(each.cells for each in table.columns), strict=True
    )
  )
  title = html.escape(table.title)
  return (
    f'<div class="scroll" role="region" tabindex="0" aria-label="{title}">'
    f'<table>\n<caption><span>{title}</span></caption>\n'
    '<thead><tr><th scope="col" rowspan="2">'
    f'{html.escape(table.index.head)}</th>{top}</tr>\n'
    f'<tr>{heads}</tr></thead>\n<tbody>{rows}</tbody>\n</table></div>'
  )
