"""Statements of Glorot & Bengio 2010 about networks before any training.

JACOBIAN is checked on `experiments.glorot2010.jacobian` and HISTOGRAMS on
`experiments.variance`, with standard and normalized weights ('standard' and
'glorot') in one run.

Everything that a statement compares, in all layers and settings, has its
interval over seeds, see `claims`.
"""

from collections.abc import Sequence
import itertools

import numpy as np

from initlab import claims, stats, theory
from initlab.experiment import Finding, Outcome

from . import SOURCE, formulas

# The layer Jacobian.

_MEANS = {
  'mean_singular_value': 'arithmetic mean',
  'rms': 'rms',
  'geometric_mean': 'geometric mean',
}
_SAID = {'glorot': 0.8, 'standard': 0.5}  # by the paper, of tanh
_AFTER_17 = f'{SOURCE}, text after eq. 17'


@claims.claim('eq. 17, normalized', _AFTER_17)
def normalized(outcomes):
  """With normalized weights and tanh the average singular value of a layer is
  around 0.8.

  Taken to be the arithmetic mean, over layers of equal widths.

  Holds if its interval over seeds lies within 0.05 of the paper's number: it
  rounds to the one digit that the paper has.

  Untested if tanh with these weights is not in the run, or no hidden layer has
  the width of the one below it.
  """
  return _around(outcomes, 'glorot')


@claims.claim('eq. 17, standard', _AFTER_17)
def standard(outcomes):
  """With standard weights and tanh it drops down to 0.5.

  Holds if the interval of the arithmetic mean lies within 0.05 of 0.5.

  Untested as 'eq. 17, normalized'.
  """
  return _around(outcomes, 'standard')


def _around(outcomes: Sequence[Outcome], init: str) -> Finding:
  found = _means(claims.one(outcomes, init=init, activation='tanh'))
  told = ', '.join(f'{_MEANS[name]} {found[name]}' for name in _MEANS)
  return claims.finding(
    _rounds_to(found['mean_singular_value'], _SAID[init]),
    f'paper {_SAID[init]}; measured: {told}',
  )


@claims.claim('eq. 17, which mean', f'{_AFTER_17}, which takes them for one')
def which_mean(outcomes):
  """The paper's two numbers are the arithmetic mean; neither the rms, a ratio
  of deviations, nor the geometric mean, a ratio of volumes, is around both.

  Holds if the intervals of the arithmetic mean lie within 0.05 of 0.8 with
  normalized and of 0.5 with standard weights, while of each of the other means
  one interval at least lies outside.

  Untested if tanh with both kinds of weights is not in the run, or no hidden
  layer has the width of the one below it.
  """
  found = {
    init: _means(claims.one(outcomes, init=init, activation='tanh'), cells=4)
    for init in _SAID
  }
  holds, lines = True, []
  for name, words in _MEANS.items():
    pairs = [(found[init][name], said) for init, said in _SAID.items()]
    holds &= (
      all(_rounds_to(*pair) for pair in pairs)
      if name == 'mean_singular_value'
      else any(_rounds_otherwise(*pair) for pair in pairs)
    )
    lines.append(f'{words} {" and ".join(str(value) for value, _ in pairs)}')
  return claims.finding(holds, f'normalized and standard: {"; ".join(lines)}')


@claims.claim(
  'quarter circle', 'the quarter-circle law of square random matrices'
)
def quarter_circle(outcomes):
  """Without a nonlinearity the three are 8/(3 pi) g, g and exp(-1/2) g, with
  g = 1 for normalized weights and 1/sqrt(3) for standard ones.

  At width n the logarithm of the determinant falls short by about log(n) / 2,
  so its n-th root by log(n) / 2n; the others by less.

  Holds if all six intervals contain their closed form, up to that share of it.

  Untested if linear layers with both kinds of weights are not in the run, no
  hidden layer has the width of the one below it, or an interval reaches farther
  than a twentieth to both sides: two of the means are 15% apart.
  """
  forms = theory.ARITHMETIC_MEAN, theory.RMS, theory.GEOMETRIC_MEAN
  gains = {'glorot': 1.0, 'standard': formulas.standard_factor(1) ** 0.5}
  holds, lines = [], []
  for init, gain in gains.items():
    one = claims.one(outcomes, init=init, activation='identity')
    width = min(one.config.widths)
    slack = np.log(width) / (2 * width)
    found = _means(one, cells=6)
    for name, form in zip(_MEANS, forms, strict=True):
      value, said = found[name], gain * form
      holds.append(
        claims.agrees(value, said, within=said / 20, slack=said * slack)
      )
      lines.append(f'{init} {_MEANS[name]} {value} ({said:.4f})')
  return claims.finding(
    claims.together(holds), 'measured (closed form): ' + ', '.join(lines)
  )


def _means(outcome: Outcome, cells: int = 1) -> dict[str, stats.Estimate]:
  """The three means, over the layers of two equal widths."""
  square = square_layers(outcome.config.layer_widths())
  if not square.any():
    raise claims.Untested('no hidden layer has the width of the one below it')
  return {
    name: claims.mean(outcome.measured[name][:, square].mean(1), cells)
    for name in _MEANS
  }


def square_layers(widths: Sequence[int]) -> np.ndarray:
  """Which layers lead from a hidden layer to one of the same width, `[L]`."""
  square = [a == b for a, b in itertools.pairwise(widths)]
  return np.array([False, *square[1:-1], False][: len(square)])


def _rounds_to(value: stats.Estimate, said: float) -> bool:
  return bool(said - 0.05 <= value.low and value.high < said + 0.05)


def _rounds_otherwise(value: stats.Estimate, said: float) -> bool:
  return bool(value.high < said - 0.05 or said + 0.05 <= value.low)


JACOBIAN = (normalized, standard, which_mean, quarter_circle)


# Histograms.


@claims.claim('figure 6, standard', f'{SOURCE}, figure 6, top')
def peak_grows(outcomes):
  """With standard weights the peak of the activations at 0 grows from layer to
  layer, upward.

  The height of the peak is the share of activations with |z| < 0.05: a
  twentieth of tanh's range is narrower than the peak of any layer.

  Holds if the intervals of all differences from one hidden layer to the next,
  by seed, lie above 0.

  Untested if standard weights are not in the run, or have one hidden layer.
  """
  one = claims.one(outcomes, init='standard')
  shares = (np.abs(_hidden(one, 'activation_sample', 2)) < 0.05).mean(-1)
  steps = claims.mean(np.diff(shares, axis=1))
  told = ', '.join(f'{stats.mean(each):%}' for each in shares.T)
  return claims.finding(
    np.all(steps.low > 0), f'share with |z| < 0.05, upward: {told}'
  )


@claims.claim('figure 6, normalized', f'{SOURCE}, figure 6, bottom')
def same_activations(outcomes):
  """With normalized weights the layers have activations of about one size.

  Holds if the intervals of the ratios of standard deviations, of all pairs of
  hidden layers by seed, lie below 2: standard weights shrink the variance to a
  third a layer and so make a ratio of 9 in five layers (eq. 13).

  Untested if normalized weights are not in the run, or have less than four
  hidden layers: in three even standard weights make a ratio of 3.
  """
  return _alike(outcomes, 'activation_std', 2.0, ['glorot'])


@claims.claim('figure 7, standard', f'{SOURCE}, figure 7, top')
def gradients_shrink(outcomes):
  """With standard weights the back-propagated gradients shrink from layer to
  layer, downward.

  Holds if the intervals of the ratios of the standard deviation of dC/ds, of
  all hidden layers to the one below by seed, lie above 1.

  Untested if standard weights are not in the run, or have one hidden layer.
  """
  one = claims.one(outcomes, init='standard')
  stds = _hidden(one, 'gradient_std', 2)
  steps = claims.ratio(stds[:, 1:], stds[:, :-1])
  told = ', '.join(f'{stats.mean(each)}' for each in stds.T)
  return claims.finding(
    np.all(steps.low > 1), f'standard deviation of dC/ds, upward: {told}'
  )


@claims.claim('figure 7, normalized', f'{SOURCE}, figure 7, bottom')
def same_gradients(outcomes):
  """With normalized weights the back-propagated gradients are about as large in
  every layer.

  Holds if the intervals of the ratios of standard deviations, of all pairs of
  hidden layers by seed, lie below 2, as in 'figure 6, normalized'.

  Untested as 'figure 6, normalized'.
  """
  return _alike(outcomes, 'gradient_std', 2.0, ['glorot'])


@claims.claim('figure 8', f'{SOURCE}, figure 8 and eq. 14')
def same_weight_gradients(outcomes):
  """The weight gradients of all hidden layers have about one size, with either
  initialization.

  Holds if the intervals of the ratios of standard deviations, of all pairs of
  hidden layers by seed, lie below 1.2: eq. 14 has them equal whatever the
  weights.

  Untested if one of the kinds of weights is not in the run, or has less than
  four hidden layers.
  """
  return _alike(outcomes, 'weight_gradient_std', 1.2, ['standard', 'glorot'])


def _alike(
  outcomes: Sequence[Outcome], field: str, within: float, inits: Sequence[str]
) -> Finding:
  """Whether the deviations of hidden layers differ by less than a factor."""
  holds, lines = True, []
  for init in inits:
    stds = _hidden(claims.one(outcomes, init=init), field, 4)
    above, below = np.transpose(
      list(itertools.permutations(range(stds.shape[1]), 2))
    )
    pairs = claims.ratio(stds[:, above], stds[:, below])
    holds &= bool(np.all(pairs.high < within))
    value, low, high = (x[pairs.high.argmax()] for x in pairs[:3])
    lines.append(f'{init} {value:.3g} [{low:.3g}, {high:.3g}]')
  return claims.finding(
    holds,
    'largest over smallest standard deviation of the hidden layers: '
    f'{", ".join(lines)}; less than {within} wanted',
  )


def _hidden(outcome: Outcome, field: str, least: int) -> np.ndarray:
  """`[S, hidden layers, ...]`, with at least `least` hidden layers."""
  found = outcome.measured[field][:, :-1]
  if found.shape[1] < least:
    raise claims.Untested(f'{found.shape[1]} hidden layers, not {least}')
  return found


HISTOGRAMS = (
  peak_grows,
  same_activations,
  gradients_shrink,
  same_gradients,
  same_weight_gradients,
)
