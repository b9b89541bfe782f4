"""Checks claims of papers and lectures against the measurements of a run.

    @claims.claim('lecture 5, prior', 'Larochelle, Parameter initialization')
    def prior(outcomes):
      '''A network of zeros costs more than 2 nats.

      Holds if the interval of the mean loss lies above 2 nats.

      Untested if the run has no zeros.
      '''
      zeros = claims.one(outcomes, init='zeros')
      loss = claims.mean(zeros.measured['mean_loss'])
      return claims.finding(loss.low > 2, f'loss {loss}')

The docstring of a check states the claim in its first paragraph, the criterion
in one that begins with "Holds if", and the runs that cannot decide it in one
that begins with "Untested". A page's claims are those that its module defines.

The probability of a wrong finding by chance, of a false difference or a missed
agreement, is at most ALPHA.

A difference is significant if its interval excludes 0, a ratio if its interval
excludes 1; otherwise the claim fails. If all of several differences are
required, each interval has level 1 - ALPHA (intersection-union test; Berger,
Technometrics 24, 1982). Values agree if the interval contains the prediction
and is narrow enough; a wider interval leaves the claim untested. If several
values must agree, or one of several is selected, intervals are widened by
Bonferroni's correction to cover simultaneously. The functions below take the
number of such intervals as `cells`. Where a claim is about a mean over settings
each of which is selected, they are too many for that, and its evidence says so.
"""

from collections.abc import Callable, Sequence
import inspect
from typing import Any

import numpy as np

from initlab import base, stats
from initlab.experiment import Claim, Finding, Outcome, written

Check = Callable[[Sequence[Outcome]], Finding]

# Probability of a wrong finding by chance.
ALPHA = 0.01


def claim(name: str, source: str) -> Callable[[Check], Claim]:
  """Makes a check a Claim; the first paragraph of its docstring is the claim.

  Args:
    name: 'eq. 14', 'lecture 3'; unique in its experiment.
    source: paper and section, or lecture.

  Examples:
    >>> @claim('lecture 0', 'nobody')
    ... def never(outcomes):
    ...   '''Training never ends.
    ...
    ...   Holds if no outcome has a last step.
    ...   '''
    >>> never.text
    'Training never ends.'
  """

  def made(check: Check) -> Claim:
    text = inspect.cleandoc(check.__doc__ or '').partition('\n\n')[0]
    return Claim(name, ' '.join(text.split()), source, check)

  return made


class Untested(Exception):
  """The run cannot test a claim; the message says why."""


def one(outcomes: Sequence[Outcome], **knobs: Any) -> Outcome:
  """The only setting with these values of the knobs.

  Args:
    outcomes: the settings of a run.
    **knobs: field of the Config -> value.

  Raises:
    Untested: there is no such setting, or more than one.
  """
  found = every(outcomes, **knobs)
  if len(found) > 1:
    raise Untested(f'{len(found)} settings with {_written(knobs)}')
  return found[0]


def every(outcomes: Sequence[Outcome], **knobs: Any) -> list[Outcome]:
  """All settings with these values of the knobs, at least one.

  Raises:
    Untested: there is no such setting.
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
  """Level of each of `cells` intervals that together cover with 1 - ALPHA.

  Source: Bonferroni's inequality.

  Examples:
    >>> round(confidence(10), 6)
    0.999
  """
  return 1 - ALPHA / cells


def mean(values: base.ArrayLike, cells: int = 1) -> stats.Estimate:
  """`stats.mean` over seeds, with simultaneous intervals.

  Args:
    values: `[S, ...]`.
    cells: the number of intervals that must all cover.

  Raises:
    Untested: fewer than five seeds are finite, see `stats.FEWEST`.
  """
  return _known(stats.mean(values, confidence(cells)))


def ratio(
  a: base.ArrayLike, b: base.ArrayLike, cells: int = 1
) -> stats.Estimate:
  """`stats.paired_ratio` of a to b, with simultaneous intervals.

  Args:
    a: `[S, ...]`, positive.
    b: `[S, ...]`, the same seeds in the same order.
    cells: the number of intervals that must all cover.

  Raises:
    Untested: fewer than five seeds have a ratio, see `stats.FEWEST`.
  """
  return _known(stats.paired_ratio(a, b, confidence(cells)))


def share(successes: base.ArrayLike, cells: int = 1) -> stats.Estimate:
  """`stats.share` of the seeds that succeed, with simultaneous intervals.

  Args:
    successes: `[S]` truth values.
    cells: the number of intervals that must all cover.

  Raises:
    Untested: there are fewer than two seeds.
  """
  successes = np.asarray(successes, bool)
  if successes.size < 2:
    raise Untested('one seed is too few for a share')
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
  """Whether all intervals contain their predictions and are narrow enough.

  Args:
    estimate: `[...]`.
    value: `[...]` the predictions.
    within: the largest half interval, so that a prediction off by twice as much
      would be excluded.
    slack: the error of the prediction itself.

  Returns:
    False if an interval excludes its prediction; otherwise None if one is too
    wide, else True.

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
  """Whether all parts of a claim hold; None if one is untested and none fails.

  Examples:
    >>> print(together([True, None, False]), together([True, None]))
    False None
  """
  if any(part is not None and not part for part in parts):
    return False
  return None if any(part is None for part in parts) else True


def finding(
  holds: bool | np.bool_ | np.ndarray | None, evidence: str
) -> Finding:
  """The finding of a claim; `holds` may be a NumPy bool.

  Args:
    holds: None if the intervals are too wide, see `agrees`.
    evidence: the decisive numbers.
  """
  if holds is None:
    return Finding(None, f'intervals too wide: {evidence}')
  return Finding(bool(holds), evidence)


def findings(
  claims: Sequence[Claim], outcomes: Sequence[Outcome]
) -> list[Finding]:
  """One finding per claim; an untested one has the reason as its evidence."""
  return [_checked(claim, outcomes) for claim in claims]


def _checked(claim: Claim, outcomes: Sequence[Outcome]) -> Finding:
  if not outcomes:
    return Finding(None, 'no setting in this run')
  try:
    return claim.check(outcomes)
  except Untested as untested:
    return Finding(None, str(untested))


def mark(finding: Finding, marks: Sequence[str]) -> str:
  """The label of a finding; `marks` are those of holds, fails, untested."""
  if finding.holds is None:
    return marks[2]
  return marks[0] if finding.holds else marks[1]


def _written(knobs: dict[str, Any]) -> str:
  return ', '.join(f'{k} {written(v)}' for k, v in knobs.items())
