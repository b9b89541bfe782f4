"""A report as plain text, for a terminal or a pipe."""

from collections.abc import Mapping, Sequence
import textwrap

from initlab import claims, stats
from initlab.experiment import MARKS, Claim, Experiment, Finding, Outcome
from initlab.report import summary, tables

READING = (
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
  experiment: Experiment,
  outcomes: Sequence[Outcome],
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
  parts = [f'{experiment.name}: {summary.first_line(experiment.doc)}']
  findings = claims.findings(experiment.claims, outcomes)
  found = claims_text(experiment.claims, findings, MARKS, width)
  if found:
    parts.append(f'claims\n{found}')
  for outcome in outcomes:
    lines = [*experiment.verdict(outcome), *summary.remarks(outcome)]
    parts.append(
      '\n'.join(
        [
          f'{outcome.label} ({summary.seeds_in_words(outcome)})',
          *(_wrap(line, width, '  ', '    ') for line in lines),
        ]
      )
    )
  parts += [
    f'{table.title}\n\n{tables.grid(table, width)}'
    for table in summary.contents(experiment, outcomes)
  ]
  parts.append(_wrap(READING, width, '', ''))
  margin = max(map(len, facts), default=0) + 2
  parts.append(
    '\n'.join(
      _wrap(fact, width, name.ljust(margin), ' ' * margin)
      for name, fact in facts.items()
    )
  )
  return '\n\n'.join(parts) + '\n'


def claims_text(
  stated: Sequence[Claim],
  findings: Sequence[Finding],
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


def _wrap(line: str, width: int, first: str, others: str) -> str:
  return textwrap.fill(
    line,
    width,
    initial_indent=first,
    subsequent_indent=others,
    break_long_words=False,
    break_on_hyphens=False,
  )
