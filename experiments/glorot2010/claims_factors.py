"""Equations 8 to 16 of Glorot & Bengio 2010 as statements about a run.

By what factor a layer multiplies the variances, with each kind of weights, and
what becomes of it with the sigmoid. FACTORS is checked on `equations`, like
`claims_equations`, with the same words for what is untested.
"""

from collections.abc import Sequence

import numpy as np

from initlab import claims, stats
from initlab.experiment import Outcome

from . import SOURCE, claims_equations, formulas
from .claims_equations import EPSILON, PRECISION


@claims.claim('eqs. 8 to 11', f'{SOURCE}, eq. 8 to 11, widths equal')
def goals(outcomes):
  """With n_in Var[w] = n_out Var[w] = 1 both variances are the same in all
  layers; with the standard 1/3 neither is.

  Holds if with normalized weights the intervals of the variance at one end of
  the network over that at the other contain 1, up and down, up to how far tanh
  is from linear, and with standard weights exclude it.

  Untested if both kinds of weights, with equal widths and tanh or the identity,
  are not in the run, inputs are so large that tanh may be off by 5%, or an
  interval reaches farther than a tenth to both sides.
  """
  settings, slack = claims_equations.in_regime(_equal(outcomes))
  holds, lines = [], []
  for init in ('glorot', 'standard'):
    one = claims.one(settings, init=init)
    for word, values in _both_ways(one).items():
      kept = claims.mean(values[:, -1] / values[:, 0], 4)
      same = claims.agrees(kept, 1, within=PRECISION, slack=slack)
      holds.append(same if init == 'glorot' else same is False)
      lines.append(f'{init} {word} x {kept}')
  return claims.finding(
    claims.together(holds), 'variance from end to end: ' + ', '.join(lines)
  )


@claims.claim('eqs. 12, 16', f'{SOURCE}, eq. 12 and 16')
def compromise(outcomes):
  """The normalized weights have the variance 2 / (n_in + n_out), whatever the
  widths.

  Holds if all intervals over seeds of (n_in + n_out) mean w^2, in every layer,
  contain 2.

  Untested if normalized weights are not in the run, or an interval reaches
  farther than a tenth of 2 to both sides.
  """
  measured = [
    each.measured
    for each in claims.every(claims_equations.random(outcomes), init='glorot')
  ]
  cells = sum(each['forward_factor'].shape[1] for each in measured)
  sums = [
    claims.mean(each['forward_factor'] + each['backward_factor'], cells)
    for each in measured
  ]
  holds = [claims.agrees(each, 2, within=2 * PRECISION) for each in sums]
  low = min(each.low.min() for each in sums)
  high = max(each.high.max() for each in sums)
  return claims.finding(
    claims.together(holds),
    f'(n_in + n_out) mean w^2 within [{low:.4f}, {high:.4f}] in {cells} layers',
  )


@claims.claim(
  'eqs. 13, 15', f'{SOURCE}, eq. 13 and 15, Var[dC/ds^d] in place of Var[x]'
)
def third(outcomes):
  """With the standard weights and equal widths, each layer takes variance down
  to a third, both ways.

  The mean square of a layer over that of the layer before it has the mean
  n Var[w] = 1/3 whatever the layer before is, so it needs no logarithm.

  Holds if all intervals of these ratios contain 1/3, up to how far tanh is from
  linear, and that of the gradient's variance at the top excludes the variance
  of the inputs, which the paper prints in its place.

  Untested if standard weights with equal widths and tanh or the identity are
  not in the run, inputs are so large that tanh may be off by 5%, or an interval
  reaches farther than a tenth of 1/3 to both sides.
  """
  settings, slack = claims_equations.in_regime(_equal(outcomes))
  one = claims.one(settings, init='standard')
  said = formulas.standard_factor(one.config.widths[0])
  holds, lines = [], []
  for word, values in _both_ways(one).items():
    ratios = values[:, 1:] / values[:, :-1]
    each = claims.mean(ratios, 2 * ratios.shape[1])
    holds.append(
      claims.agrees(each, said, within=said * PRECISION, slack=said * slack)
    )
    lines.append(f'{word} x {stats.mean(ratios.mean(1))}')
  top = claims.mean(one.measured['gradient_variance'][:, -1])
  x = one.config.scale**2
  holds.append(not top.low <= x <= top.high)
  return claims.finding(
    claims.together(holds),
    f'variance a layer: {", ".join(lines)}, at the top {top}, which is '
    f'Var[dC/ds^d] and not the printed Var[x] = {x:.3g}',
  )


@claims.claim('eq. 14', f'{SOURCE}, eq. 14')
def same_in_every_layer(outcomes):
  """With equal widths the variance of the weight gradients is the same in all
  layers, whatever that of the weights is.

  Holds if all intervals over seeds of its ratio to the prediction, in a layer
  less in the last, contain 0, up to how far tanh is from linear, with every
  kind of weights in the run.

  Untested as eq. 4, of equal widths, or if an interval reaches farther than a
  tenth of the variance to both sides.
  """
  settings, slack = claims_equations.in_regime(_equal(outcomes))
  cells = sum(len(each.config.widths) - 2 for each in settings)
  field = 'weight_gradient_variance'
  holds, lines = [], []
  for one in settings:
    values = one.measured[field] / one.predicted[field]
    gap = claims.mean(values[:, :-1] - values[:, -1:], cells)
    holds.append(claims.agrees(gap, 0, within=PRECISION, slack=slack))
    signals = stats.mean(one.measured['activation_variance']).value
    far = gap.value[np.abs(gap.value).argmax()]
    lines.append(
      f'{one.config.init}: the layers differ from the last by {far:+.1%} at '
      f'most, half intervals up to {(gap.high - gap.low).max() / 2:.1%}, while '
      f'Var[z] falls {signals[0] / signals[-1]:.3g} times'
    )
  return claims.finding(claims.together(holds), '; '.join(lines))


@claims.claim('sigmoid, up', f'what {SOURCE}, eq. 5, leaves out')
def sigmoid_up(outcomes):
  """None of this is about the sigmoid: f(0) = 1/2, so that its activations do
  not shrink with the inputs as eq. 5 says.

  Holds if in every hidden layer the interval over seeds of the measured mean
  square of the activations over eq. 5's lies above 1.

  Untested if the sigmoid with random weights is not in the run.
  """
  settings = claims.every(
    claims_equations.random(outcomes), activation='sigmoid'
  )
  field = 'activation_variance'
  lows = np.concatenate(
    [
      claims.mean((each.measured[field] / each.predicted[field])[:, :-1]).low
      for each in settings
    ]
  )
  return claims.finding(
    lows.min() > 1,
    f'E z^2 is at least {lows.min():.3g} times what eq. 5 says in each of '
    f'{len(lows)} hidden layers of {len(settings)} settings, the standard and '
    'the normalized alike',
  )


@claims.claim('sigmoid, down', f'what {SOURCE}, eq. 6, leaves out')
def sigmoid_down(outcomes):
  """The sigmoid's slope is at most 1/4, so that gradients lose a factor of 16
  or more a layer beyond what eq. 6 says, with any weights.

  Holds if no mean square of the slopes is above 1/16 but for rounding, and all
  intervals over seeds of what is left of the variance of a layer's gradients
  over that of the layer's above, divided by eq. 6 and by E f'(s)^2, contain 1.

  Untested if the sigmoid with random weights is not in the run, or an interval
  reaches farther than a tenth to both sides.
  """
  settings = claims.every(
    claims_equations.random(outcomes), activation='sigmoid'
  )
  cells = sum(each.measured['slope_square'].shape[1] - 1 for each in settings)
  holds, slopes, rests = [], [], []
  for one in settings:
    gradient = one.measured['gradient_variance']
    said = one.predicted['backward_factor'][1:]
    slope = one.measured['slope_square'][:, :-1]
    rest = claims.mean(gradient[:, :-1] / gradient[:, 1:] / said / slope, cells)
    holds.append(claims.agrees(rest, 1, within=PRECISION))
    holds.append(np.all(slope <= (1 + 8 * EPSILON) / 16))
    slopes.append(stats.mean(slope).value)
    rests.append(rest.value)
  slope, rest = np.concatenate(slopes), np.concatenate(rests)
  return claims.finding(
    claims.together(holds),
    f"E f'(s)^2 is 1/{1 / slope.max():.3g} to 1/{1 / slope.min():.3g}; with it "
    f'eq. 6 is right, {rest.min():.3f} to {rest.max():.3f} of it measured',
  )


def _both_ways(outcome: Outcome) -> dict[str, np.ndarray]:
  """The variances `[S, L]` in the order in which a network passes them on."""
  return {
    'up': outcome.measured['activation_variance'],
    'down': outcome.measured['gradient_variance'][:, ::-1],
  }


def _equal(outcomes: Sequence[Outcome]) -> list[Outcome]:
  """Settings whose widths are all the same."""
  found = [each for each in outcomes if len(set(each.config.widths)) == 1]
  if not found:
    raise claims.Untested('no setting of equal widths in this run')
  return found


FACTORS = (
  goals,
  compromise,
  third,
  same_in_every_layer,
  sigmoid_up,
  sigmoid_down,
)
