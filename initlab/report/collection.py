"""A collection as one page: every claim with its mark, then every figure.

It reuses the files of the experiments' own reports: nothing is computed or
drawn again.
"""

from collections.abc import Callable, Mapping, Sequence
import os
import pathlib
import types
from typing import Any, NamedTuple

from initlab import base, claims
from initlab.engine import files, study
from initlab.experiment import (
  Chapter,
  Claim,
  Collection,
  Experiment,
  Finding,
  Outcome,
  present,
)
from initlab.report import (
  as_json,
  page as report_page,
  publish,
  screen,
  summary,
  tables,
  text as report_text,
)

# Lines of all failing claims in full, on a screen.
_ROOM = 20

# Facts of a collection, as printed.
_PLACES = ('selection', 'page', 'tracked')

# Facts of a chapter's own report, as printed.
_OF_A_PART = ('page', 'rows', 'replay')


class Run(NamedTuple):
  """A chapter to run.

  chapter: of the collection.
  experiment: the program.
  settings: Configs, at least one.
  options: how to run it.
  """

  chapter: Chapter
  experiment: Experiment
  settings: Sequence[Any]
  options: study.Options


class Part(NamedTuple):
  """A chapter after its run.

  chapter: of the collection.
  experiment: the program.
  claims: the chapter's, or else the experiment's.
  findings: one per claim.
  outcomes: one per setting; empty if it could not be run.
  facts: of its own report.
  reason: why it could not be run.
  """

  chapter: Chapter
  experiment: Experiment
  claims: tuple[Claim, ...]
  findings: Sequence[Finding]
  outcomes: Sequence[Outcome] = ()
  facts: Mapping[str, str] = types.MappingProxyType({})
  reason: str = ''


def run(
  collection: Collection,
  runs: Sequence[Run],
  command: str,
  name: str,
  selection: str,
  bar: Callable[[int], Any],
  announce: Callable[[str], None],
) -> tuple[list[Part], dict[str, str]]:
  """Runs the chapters, computes missing seeds, and writes the page.

  A chapter that cannot be run, e.g. because its data are missing, is listed on
  the page with the reason.

  Args:
    collection: the collection.
    runs: its chapters, at least one.
    command: the command line that repeats this.
    name: of the page of the whole, `<out>/reports/<name>.html`.
    selection: the flags that select a part of it, or other seeds, so that the
      page has a name of its own; '' for the whole.
    bar: as for `study.run`.
    announce: called with the title of every chapter before it runs.

  Returns:
    The chapters, and how to repeat the run and where its page is.

  Raises:
    UserError: no chapter could be run, or the page cannot be written.
  """
  parts = []
  for count, each in enumerate(runs, 1):
    announce(f'{count}/{len(runs)} {each.chapter.title}')
    parts.append(_part(each, bar))
  done = [part for part in parts if not part.reason]
  if not done:
    raise base.UserError(parts[0].reason)
  facts = {'command': command}
  for fact in ('root seed', 'devices', 'versions'):
    facts[fact] = done[0].facts[fact]
  if selection:
    facts['selection'] = selection
    name = publish.named(name, selection.strip("-'"), selection)
  place = runs[0].options.out / 'reports' / f'{name}.html'
  files.write_text(place, page(collection, parts, facts, place.parent))
  return parts, facts | {'page': str(place)}


def _part(each: Run, bar: Callable[[int], Any]) -> Part:
  chapter, experiment, settings, options = each
  stated = chapter.claims
  if stated is None:
    stated = experiment.claims
  try:
    outcomes, tasks = study.run(experiment, settings, options, bar)
  except base.UserError as error:
    findings = [Finding(None, 'not run')] * len(stated)
    return Part(chapter, experiment, stated, findings, reason=str(error))
  experiment, outcomes = present(experiment, outcomes)
  facts = publish.publish(experiment, outcomes, tasks, options)
  findings = claims.findings(stated, outcomes)
  return Part(chapter, experiment, stated, findings, outcomes, facts)


def text(
  collection: Collection,
  parts: Sequence[Part],
  facts: Mapping[str, str],
  width: int = 80,
  *,
  verbose: bool = False,
) -> str:
  """The findings as plain text, of about one screen.

  Args:
    collection: the collection.
    parts: its chapters.
    facts: from `run`, of which the places are printed.
    width: columns of the terminal.
    verbose: whether to print every claim in full, and all tables, not just the
      counts and the claims that fail.

  Returns:
    Lines of plain text.
  """
  sections = [f'{collection.name}: {summary.first_line(collection.doc)}']
  if verbose:
    sections += [_in_full(collection, part, width) for part in parts]
    shown = _tables(collection, parts)
  else:
    failing = [_failing(part) for part in parts]
    failing = [each for each in failing if each.findings or each.reason]
    size = sum(_findings(collection, x, width).count('\n') for x in failing)
    room = 0 if size > _ROOM else size
    sections += [_findings(collection, x, width, room) for x in failing]
    shown = [_counts(collection, parts)]
  sections += [
    f'{table.title}\n\n{tables.grid(table, width)}' for table in shown
  ]
  places = {name: facts[name] for name in _PLACES if name in facts}
  if not verbose:
    places['more'] = '--verbose prints every claim, and how to repeat each run'
  sections.append(counted(collection, parts))
  sections.append(report_text.facts_text(places, width))
  return '\n\n'.join(sections) + '\n'


def _findings(
  collection: Collection, part: Part, width: int, room: int | None = None
) -> str:
  """The claims of a chapter under its title; in short if they exceed room."""
  stated = part.claims, part.findings, collection.marks, width
  if room is None:
    lines = report_text.claims_text(*stated)
  else:
    lines = screen.claims_in_short(*stated, room)
  missing = f'  not run: {part.reason}' if part.reason else ''
  return '\n'.join(filter(None, (part.chapter.title, missing, lines)))


def _in_full(collection: Collection, part: Part, width: int) -> str:
  """The claims of a chapter, where its own report is, and how to repeat it."""
  facts = (f'  {name}  {part.facts[name]}' for name in _OF_A_PART if part.facts)
  return '\n'.join([_findings(collection, part, width), *facts])


def _failing(part: Part) -> Part:
  """A chapter with only the claims that fail."""
  pairs = [
    (claim, finding)
    for claim, finding in zip(part.claims, part.findings, strict=True)
    if finding.holds is False
  ]
  return part._replace(
    claims=tuple(claim for claim, _ in pairs),
    findings=[finding for _, finding in pairs],
  )


def _counts(collection: Collection, parts: Sequence[Part]) -> tables.Table:
  """How many claims of each chapter have which mark."""
  words = [
    [claims.mark(finding, collection.marks) for finding in part.findings]
    for part in parts
  ]
  return tables.Table(
    'Claims',
    tables.Column('', 'chapter', [part.chapter.title for part in parts]),
    [
      tables.Column('', mark, [str(each.count(mark)) for each in words])
      for mark in collection.marks
    ],
  )


def as_dict(
  collection: Collection, parts: Sequence[Part], facts: Mapping[str, str]
) -> dict[str, Any]:
  """The outcome for machines; `study` is null of a chapter that was not run."""
  return {
    'collection': collection.name,
    'summary': summary.first_line(collection.doc),
    'counts': _by_mark(collection, parts),
    'chapters': [
      {
        'title': part.chapter.title,
        'not_run': part.reason or None,
        'claims': as_json.stated(part.claims, part.findings),
        'study': None
        if part.reason
        else as_json.study(part.experiment, part.outcomes, part.facts),
      }
      for part in parts
    ],
    'facts': dict(facts),
  }


def counted(collection: Collection, parts: Sequence[Part]) -> str:
  """Counts of claims by mark: '12 pass, 1 fail'."""
  counts = _by_mark(collection, parts).items()
  return ', '.join(f'{n} {mark}' for mark, n in counts if n) or 'no claims'


def _by_mark(collection: Collection, parts: Sequence[Part]) -> dict[str, int]:
  words = [
    claims.mark(finding, collection.marks)
    for part in parts
    for finding in part.findings
  ]
  return {mark: words.count(mark) for mark in collection.marks}


def page(
  collection: Collection,
  parts: Sequence[Part],
  facts: Mapping[str, str],
  folder: pathlib.Path,
) -> str:
  """The self-contained HTML page.

  Args:
    collection: the collection.
    parts: its chapters.
    facts: how to repeat the run.
    folder: of the page, for links to the reports of the chapters.

  Returns:
    The HTML document.
  """
  headline, *paragraphs = collection.doc.strip().split('\n\n')
  return report_page.render(
    'collection.html',
    name=collection.name,
    summary=headline.removesuffix('.'),
    introduction=paragraphs,
    count=counted(collection, parts),
    tables=_tables(collection, parts),
    chapters=[
      _chapter(f'chapter{place}', collection, part, folder)
      for place, part in enumerate(parts)
    ],
    facts=facts,
  )


def _tables(
  collection: Collection, parts: Sequence[Part]
) -> list[tables.Table]:
  """The tables of all chapters together."""
  return collection.tables(
    {part.chapter.title: part.outcomes for part in parts if not part.reason}
  )


def _chapter(
  name: str, collection: Collection, part: Part, folder: pathlib.Path
) -> dict[str, Any]:
  """The template values of one chapter, whose name is unique."""
  found: dict[str, Any] = {
    'title': part.chapter.title,
    'text': part.chapter.text,
    'reason': part.reason,
    'answers': report_page.answers(
      part.claims, part.findings, collection.marks
    ),
  }
  if part.reason:
    return found
  own = pathlib.Path(part.facts['page'])
  found['facts'] = part.facts
  found['link'] = pathlib.Path(os.path.relpath(own, folder)).as_posix()
  found['pictures'] = [
    report_page.picture(
      f'{name}-{panel.name}',
      panel,
      part.outcomes,
      own.with_name(f'{panel.name}.svg').read_text('utf-8'),
    )
    for panel in part.experiment.panels
  ]
  return found
