"""A report as one HTML page that needs no other file and no network."""

from collections.abc import Mapping, Sequence
import dataclasses
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from initlab import claims
from initlab.experiment import (
  MARKS,
  Claim,
  Experiment,
  Finding,
  Outcome,
  Panel,
  written,
)
from initlab.report import summary, tables, text
from initlab.report.plots import figure

if TYPE_CHECKING:
  from markupsafe import Markup


class Answer(NamedTuple):
  """A claim and what was found of it.

  claim, finding: both of them.
  word: the finding's mark.
  kind: of the mark in the style sheet.
  """

  claim: Claim
  finding: Finding
  word: str
  kind: str


class Picture(NamedTuple):
  """A figure of a page.

  title: read aloud in its place.
  svg: the element, with ids that are unique in the page.
  caption: the text below it.
  """

  title: str
  svg: 'Markup'
  caption: str


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
  findings = claims.findings(experiment.claims, outcomes)
  return render(
    'report.html',
    name=experiment.name,
    summary=summary.first_line(experiment.doc),
    introduction=[_question(experiment)],
    answers=answers(experiment.claims, findings, MARKS),
    settings=[
      {
        'label': each.label,
        'seeds': summary.seeds_in_words(each),
        'verdict': experiment.verdict(each),
        'remarks': summary.remarks(each),
      }
      for each in outcomes
    ],
    pictures=[
      picture(f'figure{place}', panel, outcomes, svg)
      for place, (panel, svg) in enumerate(
        zip(experiment.panels, figures, strict=True)
      )
    ],
    reading=text.READING,
    tables=summary.contents(experiment, outcomes),
    configs=_configs(outcomes),
    facts=facts,
    doc=experiment.doc.strip(),
  )


def render(template: str, **values: Any) -> str:
  """A page of a template, in which every text is escaped.

  Args:
    template: a file of this package that extends `page.html`.
    **values: what it names; one that is missing is an error.
  """
  import jinja2

  environment = jinja2.Environment(
    autoescape=True,
    keep_trailing_newline=True,
    loader=jinja2.PackageLoader('initlab.report', ''),
    lstrip_blocks=True,
    trim_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
  return environment.get_template(template).render(values)


def answers(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
  marks: Sequence[str],
) -> list[Answer]:
  """Claims with what was found of each, marked in these words."""
  kinds = ('holds', 'fails', 'open')
  return [
    Answer(
      claim, finding, claims.mark(finding, marks), claims.mark(finding, kinds)
    )
    for claim, finding in zip(stated, findings, strict=True)
  ]


def picture(
  name: str, panel: Panel, outcomes: Sequence[Outcome], svg: str
) -> Picture:
  """A panel as a figure with its caption.

  Args:
    name: unique in the page.
    panel: what was drawn.
    outcomes: of which settings.
    svg: the SVG document.
  """
  title = f'{panel.title}: {panel.label}'
  caption = figure.caption(panel, outcomes)
  return Picture(title, _inline(svg, f'{name}-'), caption)


def _inline(svg: str, prefix: str) -> 'Markup':
  """The <svg> element, its ids made unique within a page by the prefix."""
  from markupsafe import Markup

  element = svg[svg.index('<svg') :]
  return Markup(re.sub(r'(\bid="|href="#|url\(#)', rf'\g<1>{prefix}', element))


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
    knob: [written(getattr(each.config, knob)) for each in outcomes]
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
