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
  f'values. Fewer than {stats.FEWEST} seeds have no such interval. What is 0 '
  'or 1 for a seed has the share of the seeds, with an interval that covers '
  'whatever the share. A seed draws the '
  'same numbers in every setting, so a ratio whose interval excludes 1 is a '
  'difference. Theory is the prediction of the papers. A dash means not '
  'defined, or not finite for any seed. The last layer, "out", is the output.'
)


def text(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
  width: int = 80,
) -> str:
  """The whole report as plain text; see `screen` for one screen of it.

  Args:
    experiment: the program that ran.
    outcomes: its settings, at least one; the others are compared to the first.
    facts: how to repeat the run, and where the files are; printed as given.
    width: columns of the terminal. Wider tables are split.

  Returns:
    Lines of plain text.
  """
  parts = [heading(experiment)]
  findings = claims.findings(experiment.claims, outcomes)
  found = claims_text(experiment.claims, findings, MARKS, width)
  if found:
    parts.append(f'claims\n{found}')
  parts += [
    '\n'.join(
      line for lines in verdict(experiment, each, width) for line in lines
    )
    for each in outcomes
  ]
  parts += [
    f'{table.title}\n\n{tables.grid(table, width)}'
    for table in summary.contents(experiment, outcomes)
  ]
  parts += [wrap(READING, width), facts_text(facts, width)]
  return '\n\n'.join(parts) + '\n'


def heading(experiment: Experiment) -> str:
  """The name of a program and its question in a line."""
  return f'{experiment.name}: {summary.first_line(experiment.doc)}'


def verdict(
  experiment: Experiment, outcome: Outcome, width: int
) -> list[list[str]]:
  """The heading of a setting, then the lines of each sentence about it."""
  said = [*experiment.verdict(outcome), *summary.remarks(outcome)]
  return [
    [f'{outcome.label} ({summary.seeds_in_words(outcome.seeds)})'],
    *(wrap(line, width, '  ', '    ').splitlines() for line in said),
  ]


def facts_text(facts: Mapping[str, str], width: int) -> str:
  """A line a fact, wrapped."""
  margin = max(map(len, facts), default=0) + 2
  return '\n'.join(
    wrap(fact, width, name.ljust(margin), ' ' * margin)
    for name, fact in facts.items()
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
    wrap(
      f'{claim.name}: {claim.text} ({claim.source})',
      width,
      '  ' + claims.mark(finding, marks).ljust(margin - 2),
      ' ' * margin,
    )
    + '\n'
    + wrap(finding.evidence, width, *[' ' * (margin + 2)] * 2)
    for claim, finding in zip(stated, findings, strict=True)
  )


def wrap(line: str, width: int, first: str = '', others: str = '') -> str:
  """A line cut at spaces only, with what its first and other lines begin."""
  return textwrap.fill(
    line,
    width,
    initial_indent=first,
    subsequent_indent=others,
    break_long_words=False,
    break_on_hyphens=False,
  )
