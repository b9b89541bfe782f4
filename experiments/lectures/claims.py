"""Claims of lectures that the shared instruments test.

XAVIER is checked on `experiments.variance`, with Xavier's weights in both
distributions and weights of a fixed size in one run, at few and at many units;
SEEDS on `experiments.learning`, with a hundred seeds or more.

The lectures give no numbers. Here ranges are similar if their ratio is closer
to 1 than to 10 on a logarithmic axis; a signal is lost if it falls, and units
saturate if their share rises, by a factor of 10.
"""

import numpy as np

from initlab import claims

SIMILAR, LOST = 10**0.5, 10.0
TRIES = 5  # seeds of which the best is kept; the lecture says several
DATA_SCIENCE = '365 Data Science, "Xavier (Glorot) initialization"'
LAROCHELLE = 'Hugo Larochelle, Neural networks, "Parameter initialization"'
_SIGNALS = 'activation_std', 'gradient_std'


@claims.claim('lecture 10, similar ranges', f'{LAROCHELLE}; {DATA_SCIENCE}')
def similar_ranges(outcomes):
  """With b = sqrt(6) / sqrt(H_k + H_(k-1)), activations and gradients stay in
  similar ranges from layer to layer.

  Holds if the intervals of the last hidden layer's standard deviations over the
  first's, of activations and of back-propagated gradients, lie between 10^-1/2
  and 10^1/2, at all widths.

  Untested if Xavier's weights in both distributions are not in the run, or have
  one hidden layer.
  """
  found = _every(outcomes, 'glorot_uniform', 'glorot_normal')
  ratios = [_over_layers(each, field) for each in found for field in _SIGNALS]
  holds = all(each.within(1 / SIMILAR, SIMILAR) for each in ratios)
  return claims.finding(holds, '; '.join(map(_over_layers_text, found)))


@claims.claim('lecture 10, both distributions', DATA_SCIENCE)
def both_distributions(outcomes):
  """Xavier uniform and Xavier normal do the same: they share their variance.

  Uniform weights are compared with normal ones seed by seed, by the root mean
  square over the hidden layers.

  Holds if the intervals of the ratios of activations and of back-propagated
  gradients lie between 1/1.2 and 1.2, at all widths: a fifth is far less than
  what layers may differ by and still be similar, a factor of 3.2.

  Untested if Xavier's weights in both distributions are not in the run.
  """
  uniform, normal = (
    claims.every(outcomes, init=init)
    for init in ('glorot_uniform', 'glorot_normal')
  )
  rms = lambda x: np.sqrt(np.mean(x[:, :-1] ** 2, axis=1))
  ratios = [
    claims.ratio(rms(one.measured[field]), rms(other.measured[field]))
    for one, other in zip(uniform, normal, strict=True)
    for field in _SIGNALS
  ]
  worst = max(ratios, key=lambda ratio: max(ratio.high, 1 / ratio.low))
  return claims.finding(
    worst.within(1 / 1.2, 1.2),
    f'uniform over normal, of the layers together, farthest from 1: {worst}',
  )


@claims.claim('lecture 10, not of a fixed size', DATA_SCIENCE)
def not_of_a_fixed_size(outcomes):
  """Uniform in +-0.1 and normal of deviation 0.1 do not: the signal is lost in
  few units, many units saturate.

  Holds if up to 50 units the interval of the last hidden layer's activations
  over the first's lies below 1/10: the signal is lost; and from 1000 units on
  the interval of the share of saturated units in the last hidden layer lies
  above ten times the upper end of any with Xavier's weights.

  Untested if weights of a fixed size, or Xavier's, are not in the run, or not
  both few and many units.
  """
  found = _every(outcomes, 'uniform_tenth', 'normal_tenth')
  few = [each for each in found if each.config.widths[0] <= 50]
  many = [each for each in found if each.config.widths[0] >= 1000]
  if not (few and many):
    raise claims.Untested('not both few units (to 50) and many (from 1000)')
  saturated = lambda each: claims.mean(each.measured['saturated'][:, -2])
  xavier = _every(outcomes, 'glorot_uniform', 'glorot_normal')
  limit = max(float(saturated(each).high) for each in xavier)
  shares = [saturated(each) for each in many]
  lost = [_over_layers(each, 'activation_std').high < 1 / LOST for each in few]
  holds = all(lost) and all(each.low > LOST * limit for each in shares)
  parts = [
    *map(_over_layers_text, few),
    *(
      f'{each.label}: {share:%} of the last hidden units saturated'
      for each, share in zip(many, shares, strict=True)
    ),
    f'at most {limit:.2%} with Xavier',
  ]
  return claims.finding(holds, '; '.join(parts))


def _every(outcomes, *inits):
  """All settings of these initializations, of each at least one."""
  return [each for init in inits for each in claims.every(outcomes, init=init)]


def _over_layers(outcome, field):
  """The last hidden layer over the first, by seed."""
  values = outcome.measured[field]
  if values.shape[1] < 3:
    raise claims.Untested('one hidden layer has no other to compare with')
  return claims.ratio(values[:, -2], values[:, 0])


def _over_layers_text(outcome):
  up, down = (_over_layers(outcome, field) for field in _SIGNALS)
  return f'{outcome.label}: activations x {up}, gradients x {down}'


XAVIER = (similar_ranges, both_distributions, not_of_a_fixed_size)


@claims.claim('lecture 14, several seeds', LAROCHELLE)
def several_seeds(outcomes):
  """Try several seeds, keep the best: of five, the one that is best on
  validation examples is better than the typical one on others, too.

  The gain is the test error of the best of five seeds by validation, less their
  mean. Groups of five seeds share no seed, so their gains are independent. A
  seed that diverged is never kept, nor counted in the mean, which would be
  higher.

  Holds if the interval of the mean gain over groups lies below 0. It does not
  where seeds differ by chance alone or validation errors do not tell by what.

  Untested if there are less than 100 seeds, or several settings.
  """
  outcome = claims.one(outcomes)
  seeds = len(outcome.seeds)
  if seeds < 20 * TRIES:
    raise claims.Untested(f'{seeds} seeds, not {20 * TRIES}')
  groups = seeds // TRIES
  valid, test = (
    outcome.measured[field][: groups * TRIES].reshape(groups, TRIES)
    for field in ('final_valid_error', 'final_error')
  )
  chosen = np.argmin(np.where(np.isnan(valid), np.inf, valid), axis=1)
  kept = np.take_along_axis(test, chosen[:, None], axis=1)[:, 0]
  alive = np.isfinite(test)
  with np.errstate(invalid='ignore'):
    typical = np.where(alive, test, 0.0).sum(axis=1) / alive.sum(axis=1)
  of_typical, of_kept, gain = map(claims.mean, (typical, kept, kept - typical))
  return claims.finding(
    bool(gain.high < 0),
    f'{groups} groups of {TRIES} seeds: typical test error {of_typical:%}, of '
    f'the seed kept {of_kept:%}, by {gain:%}',
  )


SEEDS = (several_seeds,)
