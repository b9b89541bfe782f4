"""Describes signal propagation in a network at initialization.

The signal is the part of an activation that differs between examples; the part
common to all of them is an offset. `lines` states how both change over the
hidden layers, forward and backward, beside theory.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initlab import profiles, stats, theory
from initlab.experiment import Outcome, written


def lines(outcome: Outcome, laws: Sequence[theory.WeightLaw]) -> list[str]:
  """The lines of the verdict.

  Args:
    outcome: of the probes 'activation_within_std', 'activation_std',
      'activation_mean', 'example_cosine', 'gradient_within_std' and
      'gradient_std', with the predictions of `theory`; its config is a
      `networks.Network`.
    laws: of the network's layers.
  """
  found = []
  for direction, quantity, step in (
    ('upward, the signal', 'activation', 1),
    ('downward, the gradient', 'gradient', -1),
  ):
    within, whole = f'{quantity}_within_std', f'{quantity}_std'
    found.append(f'{direction}: {_change(outcome, within, step)}')
    if _has_offsets(outcome, within, whole):
      found.append(
        f'{direction} and its offsets: {_change(outcome, whole, step)}'
      )
  found += _alike(outcome)
  found += _weights_alone(outcome, laws[1:-1])
  found += estimated(laws)
  reason = theory.missing(laws)
  if reason:
    found.append(f'no theory: {reason}')
  return found


def factors(outcome: Outcome) -> dict[tuple[str, str], Any]:
  """The factors of variance a layer, over the hidden layers, beside theory.

  Args:
    outcome: as for `lines`.

  Returns:
    Heading -> an Estimate, the geometric mean over layers and seeds, or the
    number of theory, NaN where there is none; of fewer than two layers nothing.
  """
  found: dict[tuple[str, str], Any] = {}
  for name, field, step in (
    ('signal up, variance a layer', 'activation_within_std', 1),
    ('gradient down, variance a layer', 'gradient_within_std', -1),
  ):
    values, theoretical = _hidden(outcome, field, step)
    if values.shape[1] > 1:
      found[name, 'measured'] = profiles.judge(values).factor
      found[name, 'theory'] = (
        np.nan if theoretical is None else profiles.factor(theoretical)
      )
  return found


def is_rounding(values: Mapping[str, np.ndarray]) -> np.ndarray:
  """Where the signal is below 2^-21 of the root mean square of z.

  The rounding error of a sum of n products is about sqrt(log n) half units in
  the last place, each 2^-25 of its size; 2^-21 is 16 of these.
  """
  size = np.hypot(values['activation_std'], values['activation_mean'])
  return values['activation_within_std'] < 2.0**-21 * size


def of_seeds(estimate: stats.Estimate) -> str:
  """The number of seeds of an estimate, if some are missing."""
  n, total = int(estimate.n), estimate.total
  return f' ({n} of {total} seeds)' if n < total else ''


def _hidden(
  outcome: Outcome, field: str, step: int
) -> tuple[np.ndarray, np.ndarray | None]:
  """A measure of the hidden layers that float32 resolves, and its theory.

  Returns:
    `[S, L]` in the order of the pass, and `[L]`, None if it is not known in all
    these layers.
  """
  values = outcome.measured[field][:, :-1][:, ::step]
  if field == 'activation_within_std':
    values = values[:, : _resolved(outcome)]
  theoretical = outcome.predicted.get(field)
  if theoretical is not None:
    theoretical = theoretical[:-1][::step][: values.shape[1]]
    if not np.isfinite(theoretical).all():
      theoretical = None
  return values, theoretical


def _change(outcome: Outcome, field: str, step: int) -> str:
  """How a standard deviation changes over the hidden layers."""
  hidden = outcome.measured[field].shape[1] - 1
  if hidden < 2:
    return 'one hidden layer, nothing to compare'
  values, theoretical = _hidden(outcome, field, step)
  resolved, end = values.shape[1], ''
  if resolved < hidden:
    end = (
      f'; from hidden layer {resolved + 1} on it is below the rounding of '
      'float32'
    )
  if resolved < 2:
    return f'there is no signal{end}'
  profile = profiles.judge(values)
  if not profile.factor.n:
    return 'there is no signal'
  steps = values.shape[1] - 1
  seeds = of_seeds(profile.factor)
  if profile.geometric:
    words = profiles.in_words(float(profile.factor.value), steps)
    line = f'{words}; variance x {profile.factor} a layer{seeds}'
    if theoretical is not None:
      line += f', theory {_theory_factor(outcome, field, theoretical, profile)}'
    return line + end
  level = str(profile.level)
  if theoretical is not None:
    level += f', theory {theoretical[-1]:.3g}'
  if profile.settled is not None:
    layer = profile.settled + 1
    layer = layer if step > 0 else values.shape[1] + 1 - layer
    return (
      f'settles from hidden layer {layer} on, at a standard deviation of '
      f'{level}{seeds}{end}'
    )
  return (
    f'changes at no constant rate: variance x {profile.first} in the '
    f'first step, x {profile.last} in the last, to a standard '
    f'deviation of {level}{seeds}{end}'
  )


def _has_offsets(outcome: Outcome, within: str, whole: str) -> bool:
  """Whether they are more than 1% of a hidden layer's variance."""
  signal, both = (
    np.nanmean(outcome.measured[field][:, :-1] ** 2, axis=0)
    for field in (within, whole)
  )
  return bool(np.any(both - signal > 0.01 * both))


def _resolved(outcome: Outcome) -> int:
  """The number of first hidden layers whose signal float32 resolves.

  Rounding errors differ between examples and would look like a signal.
  """
  noise = is_rounding(outcome.measured)
  below = np.flatnonzero(np.median(noise[:, :-1], axis=0) > 0.5)
  return int(below[0]) if below.size else noise.shape[1] - 1


def _theory_factor(
  outcome: Outcome,
  field: str,
  theoretical: np.ndarray,
  profile: profiles.Profile,
) -> str:
  """The predicted factor, and the effect of finite width."""
  factor, steps = profiles.factor(theoretical), len(theoretical) - 1
  noise = outcome.predicted.get('finite_width')
  if noise is not None and field == 'activation_std':
    spent = noise[len(theoretical) - 1] - noise[0]
    infinite = factor * np.exp(spent / 2 / steps)
    spread = np.exp(np.sqrt(spent) / steps)
    return (
      f'{factor:.3g} at this width, where networks differ by a factor of '
      f'{spread:.3g}; {infinite:.3g} at infinite width'
    )
  error = outcome.predicted['width_error'][len(theoretical) - 1] / steps
  half = np.log(profile.factor.high / profile.factor.low) / 2
  if not error <= half:
    return f'{factor:.3g} at infinite width, accurate here to about {error:.1%}'
  return f'{factor:.3g}'


def _alike(outcome: Outcome) -> list[str]:
  """The cosine of examples, and the share of offsets in the variance."""
  cosine = outcome.measured['example_cosine'][:, :-1]
  if not np.isfinite(cosine).any():
    return []
  first, last = (stats.mean(cosine[:, place]) for place in (0, -1))
  line = (
    'two examples: the mean cosine of their pre-activations is '
    f'{first} in the first hidden layer and {last} '
    'in the last'
  )
  if 'example_cosine' in outcome.predicted:
    line += f', theory {outcome.predicted["example_cosine"][-2]:.3g}'
  within, whole = (
    outcome.measured[field][:, -2] ** 2
    for field in ('activation_within_std', 'activation_std')
  )
  with np.errstate(divide='ignore', invalid='ignore'):
    offsets = stats.mean(1 - within / whole)
  if offsets.n:
    line += (
      f'; offsets that all examples share are {offsets:%} of the variance there'
    )
  return [line]


def _weights_alone(
  outcome: Outcome, laws: Sequence[theory.WeightLaw]
) -> list[str]:
  """The factors without the activation, f(s) = s: equations 10 and 11."""
  config = outcome.config
  random = [
    law.weights.family != 'fixed' and law.weights.variance > 0 for law in laws
  ]
  if not laws or not all(random):
    return []
  upward, downward = (
    np.exp(
      np.mean([np.log(getattr(law, n) * law.weights.variance) for law in laws])
    )
    for n in ('n_in', 'n_out')
  )
  line = (
    f'the weights alone make n_in Var[w] = {upward:.3g} upward and '
    f'n_out Var[w] = {downward:.3g} downward, 1 being preserved'
  )
  if laws[-1].bias_variance and outcome.predicted:
    square = sum(
      outcome.predicted[field][-3] ** 2
      for field in ('activation_std', 'activation_mean')
    )
    added = laws[-1].bias_variance
    share = added / (laws[-1].n_in * laws[-1].weights.variance * square + added)
    line += (
      f'; random biases add Var[b] = {added:.3g}, {share:.0%} of the variance '
      'of the pre-activations in the last hidden layer'
    )
  if config.bias:
    line += f'; every bias has the constant {config.bias:g}'
  return [f"{line}; the rest is {written(config.activation)}'s"]


def estimated(laws: Sequence[theory.WeightLaw]) -> list[str]:
  """The estimated laws, one line per shape."""
  found = []
  for law in dict.fromkeys(laws):
    family, variance, evidence = law.weights
    if evidence is None:
      continue
    value, low, high, n = map(
      np.asarray,
      (
        law.n_in * variance,
        law.n_in * evidence.low,
        law.n_in * evidence.high,
        evidence.draws,
      ),
    )
    scaled = stats.Estimate(value, low, high, n, evidence.draws)
    found.append(
      f'law of {law.n_in} x {law.n_out} weights estimated from '
      f'{evidence.draws} draws: {family}, n_in Var[w] = {scaled}'
    )
  return found
