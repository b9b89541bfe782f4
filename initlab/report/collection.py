"""Experiments as one page: every claim with its mark, then every picture.

Made of what the experiments' own reports have written, so nothing is computed
or drawn again.
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
)
from initlab.report import (
  page as report_page,
  publish,
  summary,
  tables,
  text as report_text,
)


class Run(NamedTuple):
  """A chapter that is to be run.

  chapter: what it is.
  experiment: the program.
  settings: Configs, at least one.
  options: the rest.
  """

  chapter: Chapter
  experiment: Experiment
  settings: Sequence[Any]
  options: study.Options


class Part(NamedTuple):
  """A chapter that has been run.

  chapter: what it is.
  experiment: the program.
  claims: the chapter's, or else the experiment's.
  findings: what was found of each.
  outcomes: its settings; none where it could not be run.
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
  program: Collection,
  runs: Sequence[Run],
  command: str,
  name: str,
  advance: Callable[[int], Any],
  announce: Callable[[str], None],
  width: int,
) -> str:
  """Runs the chapters, computes what is missing, and writes the page.

  A chapter that cannot be run, as its data are not to be had, is told of in the
  page; the others do not wait for it.

  Args:
    program: the collection.
    runs: its chapters, at least one.
    command: the command line that asks for just this.
    name: of the page, `<out>/reports/<name>.html`.
    advance: as for `study.run`.
    announce: told every chapter as it begins.
    width: columns of the terminal.

  Returns:
    What was found, as text.

  Raises:
    UserError: no chapter could be run, or the page cannot be written.
  """
  parts = []
  for count, each in enumerate(runs, 1):
    announce(f'{count}/{len(runs)} {each.chapter.title}')
    parts.append(_part(each, advance))
  done = [part for part in parts if not part.reason]
  if not done:
    raise base.UserError(parts[0].reason)
  facts = {'command': command}
  for fact in ('root seed', 'devices', 'versions'):
    facts[fact] = done[0].facts[fact]
  place = runs[0].options.out / 'reports' / f'{name}.html'
  files.write_text(place, page(program, parts, facts, place.parent))
  return text(program, parts, str(place), width)


def _part(each: Run, advance: Callable[[int], Any]) -> Part:
  chapter, experiment, settings, options = each
  stated = chapter.claims
  if stated is None:
    stated = experiment.claims
  try:
    outcomes, tasks = study.run(experiment, settings, options, advance)
  except base.UserError as error:
    findings = [Finding(None, 'not run')] * len(stated)
    return Part(chapter, experiment, stated, findings, reason=str(error))
  facts = publish.publish(experiment, outcomes, tasks, options)
  findings = claims.findings(stated, outcomes)
  return Part(chapter, experiment, stated, findings, outcomes, facts)


def text(
  program: Collection, parts: Sequence[Part], page: str, width: int = 80
) -> str:
  """What was found, for a terminal or a pipe.

  Args:
    program: the collection.
    parts: its chapters.
    page: where its page is.
    width: columns of the terminal.

  Returns:
    Lines of plain text.
  """
  sections = [f'{program.name}: {summary.first_line(program.doc)}']
  for part in parts:
    lines = report_text.claims_text(
      part.claims, part.findings, program.marks, width
    )
    missing = f'  not run: {part.reason}' if part.reason else ''
    sections.append(
      '\n'.join(filter(None, (part.chapter.title, missing, lines)))
    )
  sections += [
    f'{table.title}\n\n{tables.grid(table, width)}'
    for table in _tables(program, parts)
  ]
  sections.append(f'{counted(program, parts)}\n\npage  {page}')
  return '\n\n'.join(sections) + '\n'


def counted(program: Collection, parts: Sequence[Part]) -> str:
  """How many claims hold, do not, and are open: '12 pass, 1 fail'."""
  words = [
    claims.mark(finding, program.marks)
    for part in parts
    for finding in part.findings
  ]
  counts = [(words.count(mark), mark) for mark in program.marks]
  return ', '.join(f'{n} {mark}' for n, mark in counts if n) or 'no claims'


def page(
  program: Collection,
  parts: Sequence[Part],
  facts: Mapping[str, str],
  folder: pathlib.Path,
) -> str:
  """The page, which needs no other file and no network.

  Args:
    program: the collection.
    parts: its chapters.
    facts: what a reader needs to run it again.
    folder: of the page, from which it links to the reports of the chapters.

  Returns:
    The HTML document.
  """
  headline, *paragraphs = program.doc.strip().split('\n\n')
  return report_page.render(
    'collection.html',
    name=program.name,
    summary=headline,
    introduction=paragraphs,
    count=counted(program, parts),
    tables=_tables(program, parts),
    chapters=[
      _chapter(f'chapter{place}', program, part, folder)
      for place, part in enumerate(parts)
    ],
    facts=facts,
  )


def _tables(program: Collection, parts: Sequence[Part]) -> list[tables.Table]:
  """Those of all chapters together."""
  return program.tables(
    {part.chapter.title: part.outcomes for part in parts if not part.reason}
  )


def _chapter(
  name: str, program: Collection, part: Part, folder: pathlib.Path
) -> dict[str, Any]:
  """What the template names of one chapter, whose name is unique."""
  found: dict[str, Any] = {
    'title': part.chapter.title,
    'text': part.chapter.text,
    'reason': part.reason,
    'answers': report_page.answers(part.claims, part.findings, program.marks),
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
