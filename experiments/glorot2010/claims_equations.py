"""Equations 2 to 7 of Glorot & Bengio 2010 as statements about a run.

EQUATIONS is checked on `equations`, with standard and normalized weights, tanh
and the sigmoid, equal and unequal widths in one run.

"Untested as eq. 4" means: if no setting with tanh or the identity is in the
run, or inputs are so large that tanh may deviate from linear by 5%.
"""

from collections.abc import Sequence

import numpy as np

from initlab import claims, formatting, stats
from initlab.experiment import Finding, Outcome

from . import SOURCE

_LINEAR = ('identity', 'tanh')  # whose slope is 1 + O(s^2)
EPSILON = 2.0**-24  # of float32
# Largest half interval as a share of a prediction: an error of a fifth in the
# variance is then detected, where a layer makes a factor of 1/3 to 2.
PRECISION = 0.1


@claims.claim('eq. 2', f'{SOURCE}, eq. 2')
def chain_rule(outcomes):
  """The gradient of a layer is f'(s) times the gradient above sent back through
  the weights.

  Compared with automatic differentiation, layer by layer. Two orders of
  summation differ by 2 n u |a| |b| for a product of n terms, u = 2^-24, and for
  terms of random signs |a| |b| is some sqrt(n) times |a b|.

  Holds if no relative error is above 2 n sqrt(n) u, n the largest width or
  number of examples: what rounding may do, and nothing else. An error that is
  not a number counts against it.

  Untested if no setting with random weights is in the run.
  """
  return _as_differentiated(outcomes, 'chain_error')


@claims.claim('eq. 3', f'{SOURCE}, eq. 3')
def outer_product(outcomes):
  """The gradient of a weight is its input times its output's gradient.

  Holds if no relative error is above what rounding may do, as for eq. 2.

  Untested if no setting with random weights is in the run.
  """
  return _as_differentiated(outcomes, 'product_error')


def _as_differentiated(outcomes: Sequence[Outcome], field: str) -> Finding:
  settings = random(outcomes)
  largest = np.max([each.measured[field].max() for each in settings])
  terms = max(
    max(*each.config.widths, each.config.examples) for each in settings
  )
  bound = 2 * EPSILON * terms**1.5
  return claims.finding(
    largest < bound,
    f'largest relative error of {len(settings)} settings {largest:.1e}, '
    f'rounding allows {bound:.1e}',
  )


@claims.claim('eq. 4', f'{SOURCE}, eq. 4')
def unit_slope(outcomes):
  """With tanh and small inputs the slopes f'(s) are about 1.

  Holds if their mean square, in every layer of every seed, is as near to 1 as
  the inputs are small: 2 q for pre-activations of variance q, summed over the
  layers, see `in_regime`.

  Untested if no setting with tanh or the identity is in the run, or inputs are
  so large that this is above 5%.
  """
  settings, slack = in_regime(outcomes)
  slopes = np.concatenate(
    [each.measured['slope_square'].ravel() for each in settings]
  )
  off = np.abs(slopes - 1).max()
  return claims.finding(
    off < slack,
    f"E f'(s)^2 is 1 within {off:.1e} in every layer of every seed",
  )


@claims.claim('eq. 5', f'{SOURCE}, eq. 5')
def activations(outcomes):
  """Going up, each layer multiplies the variance of the activations by
  n_in Var[w].

  Holds if all intervals over seeds of the measured mean square over the
  predicted, in every layer, contain 1, up to how far tanh is from linear.

  Untested as eq. 4, or if an interval reaches farther than a tenth to both
  sides.
  """
  return _as_predicted(outcomes, 'activation_variance')


@claims.claim('eq. 6', f'{SOURCE}, eq. 6, its product from i + 1')
def gradients(outcomes):
  """Coming down, each layer multiplies the variance of the gradients by
  n_out Var[w], from the layer above on, not from the layer itself as printed.

  Holds if the intervals contain 1 as for eq. 5, and in every setting in which
  the printed form differs one interval at least excludes it.

  Untested as eq. 5, or if the printed form differs in no setting.
  """
  return _as_predicted(outcomes, 'gradient_variance', printed=True)


@claims.claim('eq. 7', f'{SOURCE}, eq. 7, its second product from i + 1 to d')
def weight_gradients(outcomes):
  """The variance of the weight gradients is that of the activations below times
  that of the gradients above.

  Holds if the intervals contain 1 as for eq. 5, and in every setting in which
  the printed form differs one interval at least excludes it.

  Untested as eq. 5, or if the printed form differs in no setting.
  """
  return _as_predicted(outcomes, 'weight_gradient_variance', printed=True)


def _as_predicted(
  outcomes: Sequence[Outcome], field: str, printed: bool = False
) -> Finding:
  """Whether a prediction holds, and its printed form fails if that differs."""
  settings, slack = in_regime(outcomes)
  cells = sum(each.measured[field].shape[1] for each in settings)
  ratios = [
    claims.mean(each.measured[field] / each.predicted[field], cells)
    for each in settings
  ]
  value, low, high = map(np.concatenate, list(zip(*ratios, strict=True))[:3])
  holds = [
    claims.agrees(ratio, 1, within=PRECISION, slack=slack) for ratio in ratios
  ]
  text = (
    f'measured over predicted is {value.min():.3f} to {value.max():.3f} in '
    f'{cells} layers of {len(settings)} settings, the widest interval '
    f'{formatting.number((high - low).max())} wide'
  )
  if printed:
    extras = [_printed(each, field) for each in settings]
    tested = [
      _outside(ratio, extra, slack)
      for ratio, extra in zip(ratios, extras, strict=True)
      if not np.allclose(extra, 1)
    ]
    if not tested:
      raise claims.Untested('no setting where the printed form differs')
    holds += tested
    off = np.exp(np.abs(np.log(value / np.concatenate(extras))).max())
    text += f'; as printed it is off by up to {off:.3g} times'
  return claims.finding(claims.together(holds), text)


def _printed(outcome: Outcome, field: str) -> np.ndarray:
  """The printed form of eq. 6 or 7 over the corrected one, layer by layer."""
  extra = np.array(outcome.predicted['backward_factor'])
  return extra / extra[-1] if field == 'weight_gradient_variance' else extra


def _outside(ratio: stats.Estimate, extra: np.ndarray, slack: float) -> bool:
  """Whether some interval of the ratio excludes the printed form."""
  above = ratio.low / extra > 1 + slack
  return bool((above | (ratio.high / extra < 1 - slack)).any())


def random(outcomes: Sequence[Outcome]) -> list[Outcome]:
  """Settings whose weights are drawn, which have predictions."""
  found = [each for each in outcomes if each.predicted]
  if not found:
    raise claims.Untested('no setting with random weights in this run')
  return found


def in_regime(outcomes: Sequence[Outcome]) -> tuple[list[Outcome], float]:
  """Settings of the linear regime, and the largest deviation of tanh from it.

  With variance q of s, E tanh(s)^2 = q (1 - 2 q + O(q^2)) and
  E tanh'(s)^2 = 1 - 2 q + O(q^2); of a product over layers the errors add up.
  """
  settings = [
    each for each in random(outcomes) if each.config.activation in _LINEAR
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


EQUATIONS = (
  chain_rule,
  outer_product,
  unit_slope,
  activations,
  gradients,
  weight_gradients,
)
