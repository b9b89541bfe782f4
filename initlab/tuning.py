"""A knob chosen for each setting by itself, as the learning rate must be.

Settings that differ in nothing but that knob are one group; the value with the
least mean validation error over seeds is its choice. Choice and judgement do
not share what is random: the chosen setting is judged on test examples, which
are not those of the validation, and a seed by the value that the *other* seeds
choose (leave-one-out), so no seed is favoured by its own luck. The seeds' own
choices mostly agree; a table says for how many.

A seed that diverges counts as worse than any error: fewer of them come first.
"""

from collections.abc import Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np

from initlab import base, stats, tables


class Choice(NamedTuple):
  """What was chosen for one group.

  label: of the group, the knob left out.
  options: its settings, in the order of the knob.
  best: `[]` int, which of them all seeds choose.
  by_seed: `[S]` int, which of them the other seeds choose for each seed.
  """

  label: str
  options: tuple[base.Outcome, ...]
  best: int
  by_seed: np.ndarray


def choices(
  outcomes: Sequence[base.Outcome], knob: str, by: str
) -> list[Choice]:
  """The choice of every group, in the order of the outcomes.

  Args:
    outcomes: the settings; those of a group have the same seeds.
    knob: the field of the Config that is chosen.
    by: a PerNetwork field, the lower the better, of validation examples.
  """
  groups: dict[Any, list[base.Outcome]] = {}
  for outcome in outcomes:
    values = {**dataclasses.asdict(outcome.config), knob: None}
    groups.setdefault(tuple(values.items()), []).append(outcome)
  return [_choice(group, knob, by) for group in groups.values()]


def chosen(
  outcomes: Sequence[base.Outcome], knob: str, by: str
) -> list[base.Outcome]:
  """One outcome a group: every seed as it is where the other seeds choose.

  Args:
    outcomes, knob, by: as for `choices`.

  Returns:
    Outcomes without the knob in their labels; their config has the value that
    all seeds choose, and there is no theory.
  """
  return [_gathered(each) for each in choices(outcomes, knob, by)]


def table(outcomes: Sequence[base.Outcome], knob: str, by: str) -> tables.Table:
  """What is chosen, of which values, and how clearly.

  Args:
    outcomes, knob, by: as for `choices`.
  """
  found = choices(outcomes, knob, by)
  word, error = map(base.in_words, (knob, by))
  columns = {
    (word, 'chosen'): lambda each: _value(each.options[each.best], knob),
    (word, 'of'): lambda each: ', '.join(
      _value(option, knob) for option in each.options
    ),
    (f'{error}, mean and 95% interval', 'there'): lambda each: tables.cell(
      stats.mean(each.options[each.best].measured[by])
    ),
    ('seeds', 'whose others agree'): lambda each: (
      f'{np.sum(each.by_seed == each.best)} of {len(each.by_seed)}'
    ),
  }
  return tables.Table(
    f'{word[:1].upper()}{word[1:]} of the least mean {error}',
    tables.Column('', 'setting', [each.label for each in found]),
    [
      tables.Column(group, head, [cell(each) for each in found])
      for (group, head), cell in columns.items()
    ],
  )


def _choice(options: Sequence[base.Outcome], knob: str, by: str) -> Choice:
  options = sorted(options, key=lambda each: getattr(each.config, knob))
  errors = np.stack([np.asarray(o.measured[by], float) for o in options])
  seeds = errors.shape[1]
  others = ~np.eye(seeds, dtype=bool) if seeds > 1 else np.ones((1, 1), bool)
  return Choice(
    _label(options[0], knob),
    tuple(options),
    _least(errors),
    np.array([_least(errors[:, mask]) for mask in others]),
  )


def _least(errors: np.ndarray) -> int:
  """Which row of `[options, S]` has the fewest lost seeds, then the least mean.

  The first of those that are equal.
  """
  finite = np.isfinite(errors)
  lost = (~finite).sum(1)
  total = np.where(finite, errors, 0.0).sum(1)
  mean = total / np.maximum(finite.sum(1), 1)
  return int(np.lexsort((mean, lost))[0])


def _gathered(choice: Choice) -> base.Outcome:
  best = choice.options[choice.best]
  seeds = np.arange(len(best.seeds))
  gather = lambda field: np.stack(
    [option.measured[field] for option in choice.options]
  )[choice.by_seed, seeds]
  return best._replace(
    label=choice.label,
    measured={field: gather(field) for field in best.measured},
    predicted={},
  )


def _label(outcome: base.Outcome, knob: str) -> str:
  own = f'{knob} {_value(outcome, knob)}'
  words = [word for word in outcome.label.split(', ') if word != own]
  return ', '.join(words) or f'{knob} chosen'


def _value(outcome: base.Outcome, knob: str) -> str:
  return base.written(getattr(outcome.config, knob))
