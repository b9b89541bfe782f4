"""Claims of papers and lectures, held against what a run measured.

def check(outcomes):
  cost = stats.mean(claims.one(outcomes, init='zeros').measured['cost'])
  return claims.finding(cost.low > 2, f'cost {claims.told(cost)}')
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from initlab import base, stats, tables


class Untested(Exception):
  """A run lacks what a claim is about; its text says what."""


def one(outcomes: Sequence[base.Outcome], **knobs: Any) -> base.Outcome:
  """The only setting with these values of its knobs.

  Args:
    outcomes: the settings of a run.
    **knobs: field of the Config -> value.

  Raises:
    Untested: there is none, or there are several.
  """
  found = every(outcomes, **knobs)
  if len(found) > 1:
    raise Untested(f'{len(found)} settings with {_written(knobs)}')
  return found[0]


def every(outcomes: Sequence[base.Outcome], **knobs: Any) -> list[base.Outcome]:
  """All settings with these values of their knobs, at least one.

  Raises:
    Untested: there is none.
  """
  found = [
    outcome
    for outcome in outcomes
    if all(getattr(outcome.config, k) == value for k, value in knobs.items())
  ]
  if not found:
    raise Untested(f'no setting with {_written(knobs)} in this run')
  return found


def finding(holds: bool | np.bool_, evidence: str) -> base.Finding:
  """What was found, of a NumPy truth value, too."""
  return base.Finding(bool(holds), evidence)


def told(estimate: stats.Estimate, unit: str = '') -> str:
  """An estimate with its interval, as text: see `tables.cell`.

  Args:
    estimate: of one number.
    unit: '%' for a share that is printed as a percentage.

  Examples:
    >>> told(stats.Estimate(0.51234, 0.5, 0.525, 32, 32))
    '0.512 [0.500, 0.525]'
    >>> told(stats.mean(np.array([0.5])), '%')
    '50%'
    >>> told(stats.mean(np.array([np.nan])))
    'unknown'
  """
  return tables.cell(estimate, unit=unit) if estimate.n else 'unknown'


def findings(
  claims: Sequence[base.Claim], outcomes: Sequence[base.Outcome]
) -> list[base.Finding]:
  """One a claim: of what the run cannot tell, why not."""
  return [_checked(claim, outcomes) for claim in claims]


def _checked(
  claim: base.Claim, outcomes: Sequence[base.Outcome]
) -> base.Finding:
  try:
    return claim.check(outcomes)
  except Untested as untested:
    return base.Finding(None, str(untested))


def mark(finding: base.Finding, marks: Sequence[str]) -> str:
  """Its word: of one that holds, one that does not, one that is open."""
  if finding.holds is None:
    return marks[2]
  return marks[0] if finding.holds else marks[1]


def _written(knobs: dict[str, Any]) -> str:
  return ', '.join(f'{k} {base.written(v)}' for k, v in knobs.items())
