"""A report on one screen of a terminal.

What answers the question: the claims, a line each, and in full those that fail;
as much of every setting's verdict as has room; one table with a row a setting;
and where the page, the rows and the replay are. Everything is on the page, and
printed by `text`.
"""

from collections.abc import Mapping, Sequence
import textwrap

from initlab import claims
from initlab.experiment import MARKS, Claim, Experiment, Finding, Outcome
from initlab.report import summary, tables, text as full

_LINES = 42  # of a screen; a single long sentence may add to them
_CLAIMS = 12  # lines of failing claims in full; beyond it a line each
_TABLE = 20  # lines of a table
_ROWS = 12  # rows of a table

_PLACES = ('page', 'rows', 'replay', 'curves', 'tracked')
_MORE = '--verbose prints all; with --seeds={}, replay runs that seed only'


def text(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
  width: int = 80,
) -> str:
  """The report as plain text, of about one screen.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one; the others are compared to the first.
    facts: from `publish.publish`, of which the places are printed.
    width: columns of the terminal. Wider tables are split.

  Returns:
    Lines of plain text.
  """
  findings = claims.findings(experiment.claims, outcomes)
  stated = claims_in_short(experiment.claims, findings, MARKS, width)
  places = {name: facts[name] for name in _PLACES if name in facts}
  if places:
    places['more'] = _MORE.format(outcomes[0].seeds[0])
  head = [full.heading(experiment), f'claims\n{stated}' if stated else '']
  tail = [table(each, width) for each in summary.answers(experiment, outcomes)]
  tail.append(full.facts_text(places, width))
  room = _LINES - sum(part.count('\n') + 2 for part in [*head, *tail] if part)
  verdicts = [full.verdict(experiment, each, width) for each in outcomes]
  parts = [*head, _fitting(verdicts, room), *tail]
  return '\n\n'.join(filter(None, parts)) + '\n'


def claims_in_short(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
  marks: Sequence[str],
  width: int,
  room: int = _CLAIMS,
) -> str:
  """A line a claim; in full those that fail, if `room` lines hold them."""
  in_full = [
    full.claims_text([claim], [finding], marks, width)
    for claim, finding in zip(stated, findings, strict=True)
  ]
  in_line = [
    _line(claim, finding, marks, width)
    for claim, finding in zip(stated, findings, strict=True)
  ]
  fails = [finding.holds is False for finding in findings]
  size = sum(
    len(each.splitlines())
    for each, failing in zip(in_full, fails, strict=True)
    if failing
  )
  return '\n'.join(
    each if failing and size <= room else line
    for each, line, failing in zip(in_full, in_line, fails, strict=True)
  )


def _line(
  claim: Claim, finding: Finding, marks: Sequence[str], width: int
) -> str:
  margin = max(map(len, marks)) + 2
  start = '  ' + claims.mark(finding, marks).ljust(margin)
  words = f'{claim.name}: {claim.text}'
  return start + textwrap.shorten(words, width - margin - 2, placeholder=' ...')


def _fitting(verdicts: Sequence[list[list[str]]], room: int) -> str:
  """As many sentences of each setting as there is room for, at least one.

  Where there is no room for one of each, only the first settings are shown.
  """
  count = max(map(len, verdicts))
  while count > 2 and _size(verdicts, count) > room:
    count -= 1
  shown = len(verdicts)
  while shown > 1 and _size(verdicts[:shown], count) > room - 1:
    shown -= 1
  lines = [
    line for each in verdicts[:shown] for part in each[:count] for line in part
  ]
  if shown < len(verdicts):
    lines.append(f'... and {_more(len(verdicts) - shown, "setting")}')
  return '\n'.join(lines)


def _more(count: int, what: str) -> str:
  """'2 more rows'."""
  return f'{count} more {what}{"s" * (count > 1)}'


def _size(verdicts: Sequence[list[list[str]]], count: int) -> int:
  return sum(len(part) for each in verdicts for part in each[:count])


def table(whole: tables.Table, width: int) -> str:
  """The first rows of a table, and of its columns as many as have room."""
  rows = len(whole.index.cells)
  first = lambda column: column._replace(cells=column.cells[:_ROWS])
  shown = whole._replace(
    index=first(whole.index), columns=[first(each) for each in whole.columns]
  )
  pieces = tables.grid(shown, width).split('\n\n')
  fitting = list(pieces)
  while len(fitting) > 1 and '\n\n'.join(fitting).count('\n') >= _TABLE:
    fitting.pop()
  more = [_more(rows - _ROWS, 'row')] if rows > _ROWS else []
  more += ['more columns'] if len(fitting) < len(pieces) else []
  end = f'\n... and {" and ".join(more)}' if more else ''
  return '\n\n'.join([whole.title, *fitting]) + end
