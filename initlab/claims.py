"""Claims of papers and lectures, held against what a run measured.

def check(outcomes):
  '''Holds if the interval of the mean cost lies above 2 nats.

  Untested if the run has no zeros.
  '''
  cost = claims.mean(claims.one(outcomes, init='zeros').measured['cost'])
  return claims.finding(cost.low > 2, f'cost {claims.told(cost)}')

The docstring of a check states its criterion, in a paragraph that begins with
"Holds if", and what it leaves open, in one that begins with "Untested".

Chance makes a difference that is not there, or undoes an agreement that is,
with a probability of ALPHA at most.

A difference is there if its interval lies on one side of 0, a factor if it lies
on one side of 1; one that a run does not show counts against the claim. Where
all of several must be there, each interval has 1 - ALPHA of its own, since the
claim is upheld wrongly only with all of them (intersection-union; Berger,
Technometrics 24, 1982). An agreement is there if the interval holds the value
and is narrow enough to tell; a wider one leaves the claim open. Where several
must agree, or one of several is chosen, one wrong interval decides: they are
widened, by Bonferroni, to cover together. The functions below take the number
of such intervals as `cells`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from initlab import base, formatting, stats
from initlab.experiment import Claim, Finding, Outcome, written

Check = Callable[[Sequence[Outcome]], Finding]

# Probability that chance decides a claim.
ALPHA = 0.01


class Untested(Exception):
  """A run lacks what a claim is about; its text says what."""


def one(outcomes: Sequence[Outcome], **knobs: Any) -> Outcome:
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


def every(outcomes: Sequence[Outcome], **knobs: Any) -> list[Outcome]:
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
    what = f' with {_written(knobs)}' if knobs else ''
    raise Untested(f'no setting{what} in this run')
  return found


def confidence(cells: int) -> float:
  """Of each of so many intervals, for all to cover with 1 - ALPHA together.

  Source: Bonferroni's inequality.

  Examples:
    >>> round(confidence(10), 6)
    0.999
  """
  return 1 - ALPHA / cells


def mean(values: base.ArrayLike, cells: int = 1) -> stats.Estimate:
  """`stats.mean` over seeds, with intervals that cover together.

  Args:
    values: `[S, ...]`.
    cells: how many intervals must all cover.

  Raises:
    Untested: fewer than two seeds are finite, which have no interval.
  """
  return _known(stats.mean(values, confidence(cells)))


def ratio(
  a: base.ArrayLike, b: base.ArrayLike, cells: int = 1
) -> stats.Estimate:
  """`stats.paired_ratio` of a to b, with intervals that cover together.

  Args:
    a: `[S, ...]`, positive.
    b: `[S, ...]`, the same seeds in the same order.
    cells: how many intervals must all cover.

  Raises:
    Untested: fewer than two seeds have a ratio.
  """
  return _known(stats.paired_ratio(a, b, confidence(cells)))


def share(successes: base.ArrayLike, cells: int = 1) -> stats.Estimate:
  """`stats.share` of the seeds that succeed, covering together.

  Args:
    successes: `[S]` truth values.
    cells: how many intervals must all cover.

  Raises:
    Untested: there are fewer than two seeds.
  """
  successes = np.asarray(successes, bool)
  if successes.size < 2:
    raise Untested('a single seed is no share of many')
  return stats.share(int(successes.sum()), successes.size, confidence(cells))


def _known(estimate: stats.Estimate) -> stats.Estimate:
  if not np.isfinite(estimate.high - estimate.low).all():
    least = int(np.min(estimate.n))
    raise Untested(
      f'{least} finite of {estimate.total} seeds, too few for an interval'
    )
  return estimate


def agrees(
  estimate: stats.Estimate,
  value: float | np.ndarray,
  *,
  within: float | np.ndarray,
  slack: float | np.ndarray = 0.0,
) -> bool | None:
  """Whether all intervals hold a value and are narrow enough to tell.

  Args:
    estimate: `[...]`.
    value: `[...]` what is predicted.
    within: half an interval is at most this, so that a value off by twice as
      much would be excluded.
    slack: how far the prediction itself may be off.

  Returns:
    False if an interval excludes its value, or else None if one is wider.

  Examples:
    >>> found = stats.Estimate(1.0, 0.9, 1.1, 8, 8)
    >>> print(agrees(found, 1.05, within=0.2), agrees(found, 1.2, within=0.2))
    True False
    >>> print(agrees(found, 1.05, within=0.05))
    None
  """
  value, low, high = map(np.asarray, (value, estimate.low, estimate.high))
  if not np.all((low <= value + slack) & (value - slack <= high)):
    return False
  return True if np.all((high - low) / 2 <= within) else None


def together(parts: Sequence[bool | np.bool_ | None]) -> bool | None:
  """Whether all parts of a claim hold: no if one fails, open if one is open.

  Examples:
    >>> print(together([True, None, False]), together([True, None]))
    False None
  """
  if any(part is not None and not part for part in parts):
    return False
  return None if any(part is None for part in parts) else True


def finding(holds: bool | np.bool_ | None, evidence: str) -> Finding:
  """What was found, of a NumPy truth value, too.

  Args:
    holds: None where the intervals are too wide to tell, see `agrees`.
    evidence: the numbers that decide.
  """
  if holds is None:
    return Finding(None, f'intervals too wide to tell: {evidence}')
  return Finding(bool(holds), evidence)


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
  return formatting.estimate(estimate, unit=unit) if estimate.n else 'unknown'


def findings(
  claims: Sequence[Claim], outcomes: Sequence[Outcome]
) -> list[Finding]:
  """One a claim: of what the run cannot tell, why not."""
  return [_checked(claim, outcomes) for claim in claims]


def _checked(claim: Claim, outcomes: Sequence[Outcome]) -> Finding:
  try:
    return claim.check(outcomes)
  except Untested as untested:
    return Finding(None, str(untested))


def mark(finding: Finding, marks: Sequence[str]) -> str:
  """Its word: of one that holds, one that does not, one that is open."""
  if finding.holds is None:
    return marks[2]
  return marks[0] if finding.holds else marks[1]


def _written(knobs: dict[str, Any]) -> str:
  return ', '.join(f'{k} {written(v)}' for k, v in knobs.items())
