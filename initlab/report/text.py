"""A report as plain text."""

from collections.abc import Mapping, Sequence
import textwrap

from initlab import claims, stats
from initlab.experiment import MARKS, Claim, Experiment, Finding, Outcome
from initlab.report import summary, tables

READING = (
  'How to read: a measured number is a mean over seeds [its 95% interval, with '
  'the seed as the unit, rounded outward]. Quantities that are positive and '
  'span decades have the geometric mean, as their heading says, and so do '
  'ratios; their intervals are Student t of the logarithms, exact for '
  'log-normal values. Intervals of the other means are exact for normal '
  f'values. Fewer than {stats.FEWEST} seeds have no interval. A seed draws the '
  'same numbers in every setting, so a ratio whose interval excludes 1 is a '
  'difference. Theory is the prediction of the papers. A dash means not '
  'defined, or not finite for any seed. The last layer, "out", is the output.'
)


# Lines that the verdicts, and the claims, take of a screen of about forty.
_ROOM = 20

# The facts of a screen.
_PLACES = ('page', 'rows', 'replay', 'curves', 'tracked')
_MORE = '--verbose prints all; a replay with --seeds={} is of that seed alone'


def text(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
  width: int = 80,
  *,
  verbose: bool = False,
) -> str:
  """The report as plain text, of about one screen.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one; the others are compared to the first.
    facts: how to repeat the run, and where the files are; printed as given.
    width: columns of the terminal. Wider tables are split.
    verbose: whether to print everything: all lines of the verdicts, all tables,
      how to read them, and all facts.

  Returns:
    Lines of plain text.
  """
  parts = [f'{experiment.name}: {summary.first_line(experiment.doc)}']
  findings = claims.findings(experiment.claims, outcomes)
  told = claims_text if verbose else claims_in_short
  found = told(experiment.claims, findings, MARKS, width)
  if found:
    parts.append(f'claims\n{found}')
  verdicts = [_verdict(experiment, outcome, width) for outcome in outcomes]
  if verbose:
    shown = summary.contents(experiment, outcomes)
    parts += [
      '\n'.join(line for part in each for line in part) for each in verdicts
    ]
  else:
    shown = summary.answers(experiment, outcomes)
    parts.append(_fitting(verdicts))
    facts = {name: facts[name] for name in _PLACES if name in facts}
    if facts:
      facts['more'] = _MORE.format(outcomes[0].seeds[0])
  parts += [f'{table.title}\n\n{tables.grid(table, width)}' for table in shown]
  if verbose:
    parts.append(_wrap(READING, width, '', ''))
  margin = max(map(len, facts), default=0) + 2
  parts.append(
    '\n'.join(
      _wrap(fact, width, name.ljust(margin), ' ' * margin)
      for name, fact in facts.items()
    )
  )
  return '\n\n'.join(filter(None, parts)) + '\n'


def _verdict(
  experiment: Experiment, outcome: Outcome, width: int
) -> list[list[str]]:
  """The heading of a setting, then the lines of each sentence about it."""
  said = [*experiment.verdict(outcome), *summary.remarks(outcome)]
  heading = f'{outcome.label} ({summary.seeds_in_words(outcome)})'
  return [
    [heading],
    *(_wrap(line, width, '  ', '    ').splitlines() for line in said),
  ]


def _fitting(verdicts: Sequence[list[list[str]]]) -> str:
  """As many sentences of each setting as there is room for, at least one.

  Where there is no room for one of each, only the first settings are told.
  """
  count = max(map(len, verdicts))
  while count > 2 and _lines(verdicts, count) > _ROOM:
    count -= 1
  told = len(verdicts)
  while told > 1 and _lines(verdicts[:told], count) > _ROOM:
    told -= 1
  lines = [
    line for each in verdicts[:told] for part in each[:count] for line in part
  ]
  if told < len(verdicts):
    lines.append(f'... and {len(verdicts) - told} more settings')
  return '\n'.join(lines)


def _lines(verdicts: Sequence[list[list[str]]], count: int) -> int:
  return sum(len(part) for each in verdicts for part in each[:count])


def claims_in_short(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
  marks: Sequence[str],
  width: int,
) -> str:
  """A line a claim; in full those that fail, if there is room for them."""
  failing = [finding.holds is False for finding in findings]
  pairs = list(zip(stated, findings, strict=True))
  full = ''.join(
    claims_text([claim], [finding], marks, width)
    for claim, finding in pairs
    if finding.holds is False
  )
  detailed = len(full.splitlines()) + failing.count(False) <= _ROOM
  margin = max(map(len, marks)) + 4
  return '\n'.join(
    claims_text([claim], [finding], marks, width)
    if detailed and finding.holds is False
    else '  '
    + claims.mark(finding, marks).ljust(margin - 2)
    + textwrap.shorten(
      f'{claim.name}: {claim.text}', width - margin, placeholder=' ...'
    )
    for claim, finding in pairs
  )


def claims_text(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
  marks: Sequence[str],
  width: int,
) -> str:
  """The findings of claims as plain text; '' if there are no claims."""
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


def _wrap(line: str, width: int, first: str, others: str) -> str:
  return textwrap.fill(
    line,
    width,
    initial_indent=first,
    subsequent_indent=others,
    break_long_words=False,
    break_on_hyphens=False,
  )
