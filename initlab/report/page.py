"""A report as one HTML page that needs no other file and no network."""

from collections.abc import Mapping, Sequence
import dataclasses
import html
from importlib import resources
import itertools
import re
import string

from initlab import claims
from initlab.experiment import MARKS, Claim, Experiment, Finding, Outcome, Panel
from initlab.report import summary, tables, text
from initlab.report.plots import figure


def page(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
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
  found = claims_html(experiment.claims, findings, MARKS)
  return filled(
    'report.html',
    name=html.escape(experiment.name),
    summary=html.escape(summary.first_line(experiment.doc)),
    claims=f'<h2>Claims</h2>\n{found}' if found else '',
    introduction=f'<p>{html.escape(_question(experiment))}</p>',
    doc=html.escape(experiment.doc.strip()),
    verdicts='\n'.join(_verdict_html(experiment, each) for each in outcomes),
    figures='\n'.join(pictures),
    tables='\n'.join(map(table_html, summary.contents(experiment, outcomes))),
    reading=html.escape(text.READING),
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
  files = resources.files('initlab.report')
  read = lambda file: files.joinpath(file).read_text('utf-8')
  return string.Template(read('page.html')).substitute(
    style=read('page.css'),
    name=name,
    summary=summary,
    introduction=introduction,
    main=string.Template(read(main)).substitute(parts),
  )


def claims_html(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
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


def mark_html(finding: Finding, marks: Sequence[str]) -> str:
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


def _question(experiment: Experiment) -> str:
  """The paragraph 'Question:' of the docstring, or its first line."""
  found = re.search(r'^Question:(.*?)(?=^\S|\Z)', experiment.doc, re.M | re.S)
  if not found:
    return summary.first_line(experiment.doc)
  return ' '.join(found.group(1).split())


def _configs(outcomes: Sequence[Outcome]) -> tables.Table:
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


def _verdict_html(experiment: Experiment, outcome: Outcome) -> str:
  verdict = _items(experiment.verdict(outcome), 'verdict')
  notes = _items(summary.remarks(outcome), 'notes')
  return (
    f'<section class="card"><h3>{html.escape(outcome.label)} '
    f'<small>{summary.seeds_in_words(outcome)}</small></h3>{verdict}{notes}</section>'
  )


def _items(lines: Sequence[str], kind: str) -> str:
  items = ''.join(f'<li>{html.escape(line)}</li>' for line in lines)
  return f'<ul class="{kind}">{items}</ul>' if lines else ''


def figure_html(
  name: str, panel: Panel, outcomes: Sequence[Outcome], svg: str
) -> str:
  """One picture with its caption; the name is unique in the page."""
  title = html.escape(f'{panel.title}: {panel.label}')
  caption = html.escape(figure.caption(panel, outcomes))
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
