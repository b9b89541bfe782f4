"""Tunes a knob, such as the learning rate, for each setting separately.

Settings that differ only in that knob form a group. Its choice is the value
with the lowest mean validation error over all seeds, and it is judged on test
examples. Fewer diverged seeds always beat a lower error.

The choice depends on the seeds, so it is random, and the spread of the seeds at
the chosen value does not include that. The choice is therefore repeated on
resampled seeds: with s the standard deviation over n seeds at the chosen value,
and c that of the mean at the value that resampled seeds choose, the standard
error is

    sqrt(s^2 / n + c^2),

both for one setting and for a difference of two, paired by seed. If the choice
is clear, c is 0 and the estimates are those of `stats`. A difference is tested
by `stats.permutation_test` with the variance c^2. Intervals cover the mean at
the best value. `scripts/simulated_tuning.py` measures error rates and coverage,
also of two simpler procedures that are not used. Leave-one-out choices over
seeds reject far too often. Swapping two settings seed by seed and choosing
again is exact if both have the same distribution, but has wrong error rates and
low power if their best values differ.

Seeds that diverged at the chosen value are left out of the estimate, and of a
difference if they did so in either setting; `n` counts the rest.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import Any, NamedTuple

import numpy as np

from initlab import base, formatting, stats
from initlab.experiment import (
  Outcome,
  as_title,
  in_words,
  mean_in_words,
  written,
)
from initlab.report import tables

_RESAMPLES = 999  # of the seeds, on each of which the choice is repeated
_PAIRS = 6  # the fewest whose 2^n sign patterns allow a p below 0.05: 2 / 2^6

# Values to judge a setting by: `[S]` of an outcome.
Measure = Callable[[Outcome], base.ArrayLike]


class Choice(NamedTuple):
  """The choice of one group.

  label: of the group, without the knob.
  options: its settings, in the order of the knob.
  selected: `[1 + R]` int, the index of the choice by all seeds, then by each of
    R resamples of the seeds, see `selections`.
  """

  label: str
  options: tuple[Outcome, ...]
  selected: np.ndarray

  @property
  def outcome(self) -> Outcome:
    """The chosen setting, under the group's label."""
    return self.options[self.selected[0]]._replace(label=self.label)


class Comparison(NamedTuple):
  """The first of two minus the second, over the seeds finite in both.

  difference: of the means.
  p: of no difference; NaN below two pairs.
  """

  difference: stats.Estimate
  p: float


# Numbers.


def selections(errors: np.ndarray) -> np.ndarray:
  """The option with the fewest diverged seeds, then the lowest mean error.

  The first one of those equal to a relative 1e-12.

  Args:
    errors: `[K, S]` validation errors, one row per option.

  Returns:
    `[1 + R]` int: for the seeds as they are, then for each of R resamples, in
    which S seeds are drawn with replacement, the same draws for the same S.
  """
  counts = _counts(errors.shape[1])
  finite = np.isfinite(errors)
  kept = counts @ finite.T
  mean = counts @ np.where(finite, errors, 0.0).T / np.maximum(kept, 1)
  mean = np.where(kept == kept.max(1, keepdims=True), mean, np.inf)
  least = mean.min(1, keepdims=True)
  return np.argmax(mean <= least + 1e-12 * np.abs(least), axis=1)


@functools.lru_cache(maxsize=4)
def _counts(seeds: int) -> np.ndarray:
  """How often each seed is drawn, `[1 + R, S]`; first, once each."""
  draws = np.random.default_rng(0).multinomial(
    seeds, np.full(seeds, 1 / seeds), size=_RESAMPLES
  )
  return np.concatenate([np.ones((1, seeds)), draws])


def estimate(
  values: np.ndarray, selected: np.ndarray, confidence: float = 0.95
) -> stats.Estimate:
  """The mean of the chosen option; the interval covers that of the best one.

  `stats.mean` with each half interval h widened to sqrt(h^2 + t^2 c^2), with t
  of Student's n - 1 degrees of freedom and c of the module's docstring.

  Args:
    values: `[K, S]` test errors of the options.
    selected: `[1 + R]` of `selections`.
    confidence: as for `stats.mean`.
  """
  from scipy import special

  own = values[selected[0]]
  mean = stats.mean(own, confidence)
  if mean.n < 2:
    return mean
  t = special.stdtrit(mean.n - 1, (1 + confidence) / 2)
  added = t * np.sqrt(_choice_variance(values, selected))
  return mean._replace(
    low=mean.value - np.hypot(mean.value - mean.low, added),
    high=mean.value + np.hypot(mean.high - mean.value, added),
  )


def difference(
  a: np.ndarray,
  selected_a: np.ndarray,
  b: np.ndarray,
  selected_b: np.ndarray,
  confidence: float = 0.95,
) -> Comparison:
  """The difference of two settings, each at its choice, paired by seed.

  Args:
    a: `[K, S]` test errors of the first one's options.
    selected_a: `[1 + R]` of `selections` of the first one.
    b: `[J, S]`, the same seeds in the same order; the options may differ.
    selected_b: `[1 + R]` of the second one.
    confidence: as for `stats.mean`.
  """
  with np.errstate(invalid='ignore'):
    pairs = (a[:, None] - b).reshape(-1, a.shape[1])
  selected = selected_a * len(b) + selected_b
  test = stats.permutation_test(
    a[selected_a[0]],
    b[selected_b[0]],
    variance=_choice_variance(pairs, selected),
  )
  return Comparison(estimate(pairs, selected, confidence), float(test.p))


def _choice_variance(values: np.ndarray, selected: np.ndarray) -> float:
  """c^2, over the choices with a finite seed."""
  finite = np.isfinite(values)
  n = finite.sum(1)
  means = np.where(finite, values, 0.0).sum(1) / np.maximum(n, 1)
  known = selected[n[selected] > 0]
  return float(means[known].var()) if known.size else 0.0


# Settings.


def choices(outcomes: Sequence[Outcome], knob: str, by: str) -> list[Choice]:
  """The choice of every group, in the order of the outcomes.

  Args:
    outcomes: the settings; those of a group have the same seeds.
    knob: the field of the Config that is chosen.
    by: a PerNetwork field, the lower the better, of validation examples.
  """
  groups: dict[Any, list[Outcome]] = {}
  for outcome in outcomes:
    values = {**dataclasses.asdict(outcome.config), knob: None}
    groups.setdefault(tuple(values.items()), []).append(outcome)
  return [_choice(group, knob, by) for group in groups.values()]


def chosen(outcomes: Sequence[Outcome], knob: str, by: str) -> list[Outcome]:
  """The chosen setting of every group.

  Args:
    outcomes, knob, by: as for `choices`.

  Returns:
    Outcomes without the knob in their labels and without theory.
  """
  return [each.outcome for each in choices(outcomes, knob, by)]


def mean(
  choice: Choice, measure: Measure, confidence: float = 0.95
) -> stats.Estimate:
  """`estimate` of a group by a measure of its settings."""
  return estimate(_values(choice, measure), choice.selected, confidence)


def compare(
  a: Choice, b: Choice, measure: Measure, confidence: float = 0.95
) -> Comparison:
  """`difference` of two groups by a measure of their settings.

  Raises:
    UserError: they do not have the same seeds in the same order.
  """
  if not np.array_equal(a.outcome.seeds, b.outcome.seeds):
    raise base.UserError(
      f'{a.label} and {b.label} are not paired: their seeds differ'
    )
  return difference(
    _values(a, measure),
    a.selected,
    _values(b, measure),
    b.selected,
    confidence,
  )


def _values(choice: Choice, measure: Measure) -> np.ndarray:
  return np.stack([np.asarray(measure(o), float) for o in choice.options])


def _choice(options: Sequence[Outcome], knob: str, by: str) -> Choice:
  options = sorted(options, key=lambda each: getattr(each.config, knob))
  errors = np.stack([np.asarray(o.measured[by], float) for o in options])
  return Choice(_label(options[0], knob), tuple(options), selections(errors))


def _label(outcome: Outcome, knob: str) -> str:
  own = f'{knob} {_value(outcome, knob)}'
  words = [word for word in outcome.label.split(', ') if word != own]
  return ', '.join(words) or f'{knob} chosen'


def _value(outcome: Outcome, knob: str) -> str:
  return written(getattr(outcome.config, knob))


# Tables.


def table(found: Sequence[Choice], knob: str, by: str) -> tables.Table:
  """The table of choices, with their options and how stable they are.

  Args:
    found: the groups.
    knob, by: as for `choices`.
  """
  word, error = map(in_words, (knob, by))
  columns = {
    (word, 'chosen'): lambda each: _value(each.options[each.selected[0]], knob),
    (word, 'options'): lambda each: ', '.join(
      _value(option, knob) for option in each.options
    ),
    (f'{error}, mean and 95% interval', 'at the choice'): lambda each: (
      tables.cell(mean(each, _field(by)))
    ),
    ('resampled seeds', 'that agree'): lambda each: (
      f'{np.mean(each.selected[1:] == each.selected[0]):.0%}'
    ),
  }
  return tables.Table(
    f'{as_title(knob)} with the lowest {mean_in_words(by)}',
    tables.Column('', 'setting', [each.label for each in found]),
    tables.columns(columns, found),
  )


def errors(field: str, found: Sequence[Choice], knob: str) -> tables.Table:
  """The table of final errors at the choices.

  Args:
    field: `[S]` of each outcome, lower is better.
    found: the groups.
    knob: the tuned knob.
  """

  def values(each: Choice) -> np.ndarray:
    return np.asarray(each.outcome.measured[field], float)

  columns = {
    ('mean', '95% interval'): lambda each: tables.cell(
      mean(each, _field(field))
    ),
    ('single seeds', 'best'): lambda each: tables.extreme(np.min, values(each)),
    ('single seeds', 'worst'): lambda each: tables.extreme(
      np.max, values(each)
    ),
    ('seeds', 'finite'): lambda each: (
      f'{np.isfinite(values(each)).sum()} of {len(each.outcome.seeds)}'
    ),
  }
  return tables.Table(
    f'{as_title(field)} at the chosen {in_words(knob)}; the intervals '
    'include the choice',
    tables.Column('', 'setting', [each.label for each in found]),
    tables.columns(columns, found),
  )


def differences(
  field: str, pairs: Sequence[tuple[Choice, Choice]], knob: str
) -> tables.Table:
  """The table of paired differences, each setting at its choice.

  It has no effect sizes and no seeds needed: both follow from the spread over
  seeds, which does not include the choice.

  Args:
    field: `[S]` of each outcome, lower is better.
    pairs: (a, b); the difference is b - a.
    knob: the tuned knob.
  """
  compared = [compare(b, a, _field(field)) for a, b in pairs]
  found = [each.difference for each in compared]
  p = [each.p for each in compared]
  holm = stats.holm(np.array(p))
  fewest = min((int(each.n) for each in found), default=0)
  few = f'; below {_PAIRS} pairs p is above 0.05' if fewest < _PAIRS else ''
  return tables.Table(
    f'{as_title(field)} at the chosen {in_words(knob)}, differences paired '
    f'by seed{few}',
    tables.Column('', 'settings', [f'{b.label} - {a.label}' for a, b in pairs]),
    [
      tables.Column(
        'difference', '95% interval', list(map(tables.cell, found))
      ),
      tables.Column('permutation test', 'p', list(map(formatting.p_value, p))),
      tables.Column(
        'permutation test', 'p, Holm', list(map(formatting.p_value, holm))
      ),
      tables.Column('seeds', 'pairs', [f'{e.n} of {e.total}' for e in found]),
    ],
  )


def _field(field: str) -> Measure:
  return lambda outcome: outcome.measured[field]
