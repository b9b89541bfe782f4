"""A report as one self-contained HTML page."""

from collections.abc import Mapping, Sequence
import dataclasses
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from initlab import claims, stats
from initlab.experiment import (
  MARKS,
  Claim,
  Experiment,
  Finding,
  Outcome,
  mean_in_words,
  written,
)
from initlab.panels import Panel
from initlab.report import summary, tables, text
from initlab.report.plots import figure

if TYPE_CHECKING:
  from markupsafe import Markup


# The definition of a glyph of the figures' font, and the id.
_GLYPH = re.compile(r'<path id="(DejaVu[^"]*)"[^>]*/>\n? *')


class Answer(NamedTuple):
  """A claim with its finding.

  word: the finding's mark.
  kind: the CSS class of the mark.
  """

  claim: Claim
  finding: Finding
  word: str
  kind: str

  @property
  def anchor(self) -> str:
    """The id of the claim in a page."""
    return f'claim-{_slug(self.claim.name)}'


class Lead(NamedTuple):
  """The number that a card begins with.

  interval: in brackets, '' if there is none.
  name: what it measures.
  """

  value: str
  interval: str
  name: str


class Picture(NamedTuple):
  """A figure of a page.

  title: the alternative text.
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
  """The report as one self-contained HTML page.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one; the others are compared to the first.
    facts: how to repeat the run, and where the files are; printed as given.
    figures: one SVG document per panel of the experiment, in its order.

  Returns:
    The HTML document.

  Raises:
    ValueError: the numbers of figures and panels differ.
  """
  findings = claims.findings(experiment.claims, outcomes)
  return render(
    'report.html',
    name=experiment.name,
    summary=summary.first_line(experiment.doc),
    introduction=[_question(experiment)],
    answers=answers(experiment.claims, findings, MARKS),
    settings=settings(experiment, outcomes),
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


def settings(
  experiment: Experiment, outcomes: Sequence[Outcome]
) -> list[dict[str, Any]]:
  """The template values of each setting."""
  return [
    {
      'label': each.label,
      'leads': _leads(experiment, each),
      'seeds': summary.seeds_in_words(each.seeds),
      'verdict': experiment.verdict(each),
      'remarks': summary.remarks(each),
    }
    for each in outcomes
  ]


def _leads(experiment: Experiment, outcome: Outcome) -> list[Lead]:
  """The first two estimates of the answer, or the first PerNetwork field."""
  answer = experiment.answer(outcome).items()
  found = {
    group: each
    for (group, _), each in answer
    if isinstance(each, stats.Estimate)
  }
  fields = [
    field
    for field in (*experiment.compared, *outcome.measured)
    if summary.axes_of(outcome, field) == ()
  ]
  if not answer and fields:
    name = mean_in_words(fields[0], stats.mean_name(outcome, fields[0]))
    found = {name: stats.average(outcome, fields[0])}
  return [lead(name, each) for name, each in list(found.items())[:2]]


def lead(name: str, estimate: stats.Estimate) -> Lead:
  """The number of an estimate with its interval, under a name."""
  value, _, interval = tables.cell(estimate).partition(' ')
  return Lead(value, interval, name)


def render(template: str, **values: Any) -> str:
  """Renders a template; every text is escaped.

  Args:
    template: a file of this package that extends `page.html`.
    **values: its variables; a missing one is an error.
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
  environment.filters['headings'] = _headings
  html = environment.get_template(template).render(values)
  known: set[str] = set()
  return _GLYPH.sub(lambda found: _once(found, known), html)


def _once(found: re.Match[str], known: set[str]) -> str:
  """The definition of a glyph, '' if its id is known; the id is then known."""
  name = found[1]
  if name in known:
    return ''
  known.add(name)
  return found[0]


def _headings(html: str) -> list[tuple[str, 'Markup']]:
  """The ids and titles of the sections of a page."""
  from markupsafe import Markup

  found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', html)
  return [(name, Markup(title)) for name, title in found]


def _slug(text: str) -> str:
  """Letters, digits and hyphens, for an id."""
  return re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')


def answers(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
  marks: Sequence[str],
) -> list[Answer]:
  """Claims with their findings and marks."""
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
    panel: the panel drawn.
    outcomes: the settings.
    svg: the SVG document.
  """
  title = f'{panel.title}: {panel.label}'
  return drawn(name, title, svg, figure.caption(panel, outcomes))


def drawn(name: str, title: str, svg: str, caption: str) -> Picture:
  """A figure with its caption.

  Args:
    name: unique in the page.
    title: the alternative text.
    svg: the SVG document.
    caption: the text below it.
  """
  return Picture(title, _inline(svg, f'{name}-'), caption)


def _inline(svg: str, prefix: str) -> 'Markup':
  """The <svg> element, its ids made unique within a page by the prefix.

  Those of glyphs stay: all figures of a page share their definitions.
  """
  from markupsafe import Markup

  element = svg[svg.index('<svg') :]
  of_figures = r'(\bid="|href="#|url\(#)(?!DejaVu)'
  return Markup(re.sub(of_figures, rf'\g<1>{prefix}', element))


def _question(experiment: Experiment) -> str:
  """The paragraph 'Question:' of the docstring, or its first line."""
  found = re.search(r'^Question:(.*?)(?=^\S|\Z)', experiment.doc, re.M | re.S)
  if not found:
    return summary.first_line(experiment.doc)
  return ' '.join(found.group(1).split())


def _configs(outcomes: Sequence[Outcome]) -> tables.Table:
  """Every knob of every setting; those that vary come first."""
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
