"""Equations 2 to 16 of Glorot & Bengio 2010 as statements about a run.

EQUATIONS is checked on `equations`, with standard and normalized weights, tanh
and the sigmoid, equal and unequal widths in one run.
"""

from collections.abc import Sequence

import numpy as np

from initlab import claims, formatting, stats
from initlab.experiment import Claim, Finding, Outcome

from . import claims_start, formulas

_LINEAR = ('identity', 'tanh')  # whose slope is 1 + O(s^2)
_EPSILON = 2.0**-24  # of float32
# Half intervals up to this share of a prediction are narrow enough: a variance
# off by a fifth is then noticed, where a layer makes a factor of 1/3 to 2.
_PRECISION = 0.1


def _identity(field: str) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The equation against automatic differentiation, layer by layer.

    Two orders of summation differ by 2 n u |a| |b| for a product of n terms,
    u = 2^-24, and for terms of random signs |a| |b| is some sqrt(n) times
    |a b|.

    Holds if no relative error is above 2 n sqrt(n) u, n the largest width or
    number of examples: what rounding may do, and nothing else. An error that is
    not a number counts against it.

    Untested if no setting with random weights is in the run.
    """
    settings = _random(outcomes)
    largest = np.max([each.measured[field].max() for each in settings])
    terms = max(
      max(*each.config.widths, each.config.examples) for each in settings
    )
    bound = 2 * _EPSILON * terms**1.5
    return claims.finding(
      largest < bound,
      f'largest relative error of {len(settings)} settings {largest:.1e}, '
      f'rounding allows {bound:.1e}',
    )

  return check


def _unit_slope(outcomes: Sequence[Outcome]) -> Finding:
  """The mean square of the slopes, in every layer of every seed.

  Holds if it is as near to 1 as the inputs are small: 2 q for pre-activations
  of variance q, summed over the layers, see `_in_regime`.

  Untested if no setting with tanh or the identity is in the run, or inputs are
  so large that this is above 5%.
  """
  settings, slack = _in_regime(outcomes)
  slopes = np.concatenate(
    [each.measured['slope_square'].ravel() for each in settings]
  )
  off = np.abs(slopes - 1).max()
  return claims.finding(
    off < slack,
    f"E f'(s)^2 is 1 within {off:.1e} in every layer of every seed",
  )


def _agrees(field: str, printed: str = '') -> claims.Check:
  """A prediction holds; as it is printed, if that differs, it does not."""

  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The measured mean square over the predicted, in every layer.

    Holds if all intervals over seeds hold 1, up to how far tanh is from linear.
    Where the paper prints another form, in every setting in which that differs
    one interval at least must exclude it.

    Untested if no setting with random weights and tanh or the identity is in
    the run; if inputs are so large that tanh may be off by 5%; if the printed
    form differs in no setting; or if an interval reaches farther than a tenth
    to both sides.
    """
    settings, slack = _in_regime(outcomes)
    cells = sum(each.measured[field].shape[1] for each in settings)
    parts = [
      claims.mean(each.measured[field] / each.predicted[field], cells)
      for each in settings
    ]
    low, value, high = (
      np.concatenate([getattr(part, end) for part in parts])
      for end in ('low', 'value', 'high')
    )
    holds = [
      claims.agrees(part, 1, within=_PRECISION, slack=slack) for part in parts
    ]
    text = (
      f'measured over predicted is {value.min():.3f} to {value.max():.3f} in '
      f'{cells} layers of {len(settings)} settings, the widest interval '
      f'{formatting.number((high - low).max())} wide'
    )
    if printed:
      wrong = [
        _printed(each, field, part, slack)
        for each, part in zip(settings, parts, strict=True)
      ]
      if not any(differs for differs, _, _ in wrong):
        raise claims.Untested('no setting where the printed form differs')
      holds += [refuted for differs, refuted, _ in wrong if differs]
      worst = max(worst for *_, worst in wrong)
      text += f'; {printed} it is off by up to {worst:.3g} times'
    return claims.finding(claims.together(holds), text)

  return check


def _printed(
  outcome: Outcome, field: str, ratio: stats.Estimate, slack: float
) -> tuple[bool, bool, float]:
  """Whether the printed form is another, is refuted, and how far it is off."""
  extra = np.array(outcome.predicted['backward_factor'])
  if field == 'weight_gradient_variance':
    extra = extra / extra[-1]
  differs = not np.allclose(extra, 1)
  refuted = (ratio.low / extra > 1 + slack) | (ratio.high / extra < 1 - slack)
  off = np.exp(np.abs(np.log(ratio.value / extra)).max())
  return differs, bool(refuted.any()), float(off)


def _goals(outcomes: Sequence[Outcome]) -> Finding:
  """The variance at one end of a network of equal widths over the other.

  Holds if with normalized weights the intervals over seeds hold 1, up and down,
  up to how far tanh is from linear, and with standard weights exclude it.

  Untested if both kinds of weights, with equal widths and tanh or the identity,
  are not in the run, inputs are so large that tanh may be off by 5%, or an
  interval reaches farther than a tenth to both sides.
  """
  settings, slack = _in_regime(_equal(outcomes))
  holds, lines = [], []
  for init in ('glorot', 'standard'):
    one = claims.one(settings, init=init)
    for word, field in (('up', 'activation'), ('down', 'gradient')):
      values = one.measured[f'{field}_variance']
      step = 1 if word == 'up' else -1
      first, last = values[:, ::step][:, 0], values[:, ::step][:, -1]
      kept = claims.mean(last / first, 4)
      same = claims.agrees(kept, 1, within=_PRECISION, slack=slack)
      holds.append(same if init == 'glorot' else same is False)
      lines.append(f'{init} {word} x {claims.told(kept)}')
  return claims.finding(
    claims.together(holds), 'variance from end to end: ' + ', '.join(lines)
  )


def _compromise(outcomes: Sequence[Outcome]) -> Finding:
  """(n_in + n_out) mean w^2 of the drawn weights, in every layer.

  Holds if all intervals over seeds hold 2.

  Untested if normalized weights are not in the run, or an interval reaches
  farther than a tenth of 2 to both sides.
  """
  settings = claims.every(_random(outcomes), init='glorot')
  cells = sum(each.measured['forward_factor'].shape[1] for each in settings)
  parts = [
    claims.mean(
      each.measured['forward_factor'] + each.measured['backward_factor'], cells
    )
    for each in settings
  ]
  low = np.concatenate([part.low for part in parts])
  high = np.concatenate([part.high for part in parts])
  holds = [claims.agrees(part, 2, within=2 * _PRECISION) for part in parts]
  return claims.finding(
    claims.together(holds),
    f'(n_in + n_out) mean w^2 within [{low.min():.4f}, {high.max():.4f}] in '
    f'{cells} layers',
  )


def _third(outcomes: Sequence[Outcome]) -> Finding:
  """The mean square of a layer over that of the layer before it, both ways.

  Its mean is n Var[w] = 1/3 whatever the layer before is, so the ratios need no
  logarithm.

  Holds if all intervals over seeds hold 1/3, up to how far tanh is from linear,
  and that of the gradient's variance at the top excludes the variance of the
  inputs, which the paper prints in its place.

  Untested if standard weights with equal widths and tanh or the identity are
  not in the run, inputs are so large that tanh may be off by 5%, or an interval
  reaches farther than a tenth of 1/3 to both sides.
  """
  settings, slack = _in_regime(_equal(outcomes))
  one = claims.one(settings, init='standard')
  holds, lines = [], []
  third = formulas.standard_factor(one.config.widths[0])
  for word, field, step in (('up', 'activation', 1), ('down', 'gradient', -1)):
    values = one.measured[f'{field}_variance'][:, ::step]
    ratios = values[:, 1:] / values[:, :-1]
    each = claims.mean(ratios, 2 * ratios.shape[1])
    holds.append(
      claims.agrees(each, third, within=third * _PRECISION, slack=third * slack)
    )
    lines.append(f'{word} x {claims.told(stats.mean(ratios.mean(1)))}')
  top = claims.mean(one.measured['gradient_variance'][:, -1])
  x = one.config.scale**2
  holds.append(not top.low <= x <= top.high)
  lines.append(
    f'at the top {claims.told(top)}, which is Var[dC/ds^d] and not the printed '
    f'Var[x] = {x:.3g}'
  )
  return claims.finding(
    claims.together(holds), 'variance a layer: ' + ', '.join(lines)
  )


def _same_in_every_layer(outcomes: Sequence[Outcome]) -> Finding:
  """The weight gradients of a layer over the prediction, less the last's.

  Holds if all intervals over seeds hold 0, up to how far tanh is from linear,
  with every kind of weights in the run.

  Untested if no setting with equal widths and tanh or the identity is in the
  run, inputs are so large that tanh may be off by 5%, or an interval reaches
  farther than a tenth of the variance to both sides.
  """
  settings, slack = _in_regime(_equal(outcomes))
  cells = sum(len(each.config.widths) - 2 for each in settings)
  holds, lines = [], []
  for one in settings:
    field = 'weight_gradient_variance'
    values = one.measured[field] / one.predicted[field]
    gap = claims.mean(values[:, :-1] - values[:, -1:], cells)
    holds.append(claims.agrees(gap, 0, within=_PRECISION, slack=slack))
    signals = stats.mean(one.measured['activation_variance'])
    fall = signals.value[0] / signals.value[-1]
    far = gap.value[np.abs(gap.value).argmax()]
    lines.append(
      f'{one.config.init}: the layers differ from the last by {far:+.1%} at '
      f'most, half intervals up to {(gap.high - gap.low).max() / 2:.1%}, while '
      f'Var[z] falls {fall:.3g} times'
    )
  return claims.finding(claims.together(holds), '; '.join(lines))


def _sigmoid_up(outcomes: Sequence[Outcome]) -> Finding:
  """The measured mean square of the sigmoid's activations over eq. 5's.

  Holds if in every hidden layer the interval over seeds lies above 1.

  Untested if the sigmoid with random weights is not in the run.
  """
  settings = claims.every(_random(outcomes), activation='sigmoid')
  field = 'activation_variance'
  cells = sum(each.measured[field].shape[1] - 1 for each in settings)
  parts = [
    claims.mean((each.measured[field] / each.predicted[field])[:, :-1])
    for each in settings
  ]
  low = min(part.low.min() for part in parts)
  return claims.finding(
    low > 1,
    f'E z^2 is at least {low:.3g} times what eq. 5 says in each of {cells} '
    f'hidden layers of {len(settings)} settings, the standard and the '
    'normalized alike',
  )


def _sigmoid_down(outcomes: Sequence[Outcome]) -> Finding:
  """A layer's gradients over the layer's above, over eq. 6 and E f'(s)^2.

  Holds if no mean square of the slopes is above 1/16 but for rounding, and all
  intervals over seeds of what is then left of the factor hold 1.

  Untested if the sigmoid with random weights is not in the run, or an interval
  reaches farther than a tenth to both sides.
  """
  settings = claims.every(_random(outcomes), activation='sigmoid')
  cells = sum(each.measured['slope_square'].shape[1] - 1 for each in settings)
  holds, slopes, rests = [], [], []
  for one in settings:
    gradient = one.measured['gradient_variance']
    said = one.predicted['backward_factor'][1:]
    factor = gradient[:, :-1] / gradient[:, 1:] / said
    slope = one.measured['slope_square'][:, :-1]
    rest = claims.mean(factor / slope, cells)
    holds.append(claims.agrees(rest, 1, within=_PRECISION))
    holds.append(np.all(slope <= (1 + 8 * _EPSILON) / 16))
    slopes.append(stats.mean(slope).value)
    rests.append(rest.value)
  slope, rest = np.concatenate(slopes), np.concatenate(rests)
  return claims.finding(
    claims.together(holds),
    f"E f'(s)^2 is 1/{1 / slope.max():.3g} to 1/{1 / slope.min():.3g}; with it "
    f'eq. 6 is right, {rest.min():.3f} to {rest.max():.3f} of it measured',
  )


def _random(outcomes: Sequence[Outcome]) -> list[Outcome]:
  """Settings whose weights are drawn, which have predictions."""
  found = [each for each in outcomes if each.predicted]
  if not found:
    raise claims.Untested('no setting with random weights in this run')
  return found


def _in_regime(
  outcomes: Sequence[Outcome],
) -> tuple[list[Outcome], float]:
  """Settings of the linear regime, and how far tanh is from it at most.

  With variance q of s, E tanh(s)^2 = q (1 - 2 q + O(q^2)) and
  E tanh'(s)^2 = 1 - 2 q + O(q^2); of a product over layers the errors add up.
  """
  settings = [
    each for each in _random(outcomes) if each.config.activation in _LINEAR
  ]
  if not settings:
    raise claims.Untested(f'no setting with {" or ".join(_LINEAR)}')
  slack = max(
    2 * each.predicted['activation_variance'].sum() for each in settings
  )
  if slack > 0.05:
    raise claims.Untested(
      f'inputs too large for the linear regime: {slack:.0%}'
    )
  return settings, float(slack)


def _equal(outcomes: Sequence[Outcome]) -> list[Outcome]:
  """Settings whose widths are all the same."""
  found = [each for each in outcomes if len(set(each.config.widths)) == 1]
  if not found:
    raise claims.Untested('no setting of equal widths in this run')
  return found


EQUATIONS = (
  Claim(
    'eq. 2',
    "The gradient of a layer is f'(s) times the gradient above sent back "
    'through the weights.',
    f'{claims_start.SOURCE}, eq. 2',
    _identity('chain_error'),
  ),
  Claim(
    'eq. 3',
    "The gradient of a weight is its input times its output's gradient.",
    f'{claims_start.SOURCE}, eq. 3',
    _identity('product_error'),
  ),
  Claim(
    'eq. 4',
    "With tanh and small inputs the slopes f'(s) are about 1.",
    f'{claims_start.SOURCE}, eq. 4',
    _unit_slope,
  ),
  Claim(
    'eq. 5',
    'Going up, each layer multiplies the variance of the activations by '
    'n_in Var[w].',
    f'{claims_start.SOURCE}, eq. 5',
    _agrees('activation_variance'),
  ),
  Claim(
    'eq. 6',
    'Coming down, each layer multiplies the variance of the gradients by '
    'n_out Var[w], from the layer above on, not from the layer itself as '
    'printed.',
    f'{claims_start.SOURCE}, eq. 6, its product from i + 1',
    _agrees('gradient_variance', 'as printed'),
  ),
  Claim(
    'eq. 7',
    'The variance of the weight gradients is that of the activations below '
    'times that of the gradients above.',
    f'{claims_start.SOURCE}, eq. 7, its second product from i + 1 to d',
    _agrees('weight_gradient_variance', 'as printed'),
  ),
  Claim(
    'eqs. 8 to 11',
    'With n_in Var[w] = n_out Var[w] = 1 both variances are the same in all '
    'layers; with the standard 1/3 neither is.',
    f'{claims_start.SOURCE}, eq. 8 to 11, widths equal',
    _goals,
  ),
  Claim(
    'eqs. 12, 16',
    'The normalized weights have the variance 2 / (n_in + n_out), whatever '
    'the widths.',
    f'{claims_start.SOURCE}, eq. 12 and 16',
    _compromise,
  ),
  Claim(
    'eqs. 13, 15',
    'With the standard weights and equal widths, each layer takes variance '
    'down to a third, both ways.',
    f'{claims_start.SOURCE}, eq. 13 and 15, Var[dC/ds^d] in place of Var[x]',
    _third,
  ),
  Claim(
    'eq. 14',
    'With equal widths the variance of the weight gradients is the same in '
    'all layers, whatever that of the weights is.',
    f'{claims_start.SOURCE}, eq. 14',
    _same_in_every_layer,
  ),
  Claim(
    'sigmoid, up',
    'None of this is about the sigmoid: f(0) = 1/2, so that its activations '
    'do not shrink with the inputs as eq. 5 says.',
    f'what {claims_start.SOURCE}, eq. 5, leaves out',
    _sigmoid_up,
  ),
  Claim(
    'sigmoid, down',
    "The sigmoid's slope is at most 1/4, so that gradients lose a factor of "
    '16 or more a layer beyond what eq. 6 says, with any weights.',
    f'what {claims_start.SOURCE}, eq. 6, leaves out',
    _sigmoid_down,
  ),
)
