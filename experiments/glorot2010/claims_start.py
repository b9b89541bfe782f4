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
from initlab.experiment import Claim, Finding, Outcome, in_words

from . import formulas

SOURCE = 'Glorot & Bengio 2010'


# The layer Jacobian.

_MEANS = ('mean_singular_value', 'rms', 'geometric_mean')


def _around(init: str, said: float) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The arithmetic mean of the singular values, over layers of equal widths.

    Holds if its interval over seeds lies within 0.05 of the paper's number: it
    rounds to the one digit that the paper has.

    Untested if tanh with these weights is not in the run, or no hidden layer
    has the width of the one below it.
    """
    one = claims.one(outcomes, init=init, activation='tanh')
    found = _means(one)
    value = found['mean_singular_value']
    others = (f'{_words(name)} {claims.told(found[name])}' for name in _MEANS)
    return claims.finding(
      _rounds_to(value, said), f'paper {said}; measured: {", ".join(others)}'
    )

  return check


def _only_the_arithmetic_mean(
  outcomes: Sequence[Outcome],
) -> Finding:
  """Each of the three means, against both numbers of the paper.

  Holds if the intervals of the arithmetic mean lie within 0.05 of 0.8 with
  normalized and of 0.5 with standard weights, while of each of the other means
  one interval at least lies outside.

  Untested if tanh with both kinds of weights is not in the run, or no hidden
  layer has the width of the one below it.
  """
  said = {'glorot': 0.8, 'standard': 0.5}
  found = {
    init: _means(claims.one(outcomes, init=init, activation='tanh'), cells=4)
    for init in said
  }
  right = [_rounds_to(found[init][_MEANS[0]], said[init]) for init in said]
  wrong = [
    any(_rounds_otherwise(found[init][name], said[init]) for init in said)
    for name in _MEANS[1:]
  ]
  lines = [
    f'{_words(name)} {claims.told(found["glorot"][name])} and '
    f'{claims.told(found["standard"][name])}'
    for name in _MEANS
  ]
  return claims.finding(
    all(right) and all(wrong),
    'normalized and standard: ' + '; '.join(lines),
  )


def _quarter_circle(outcomes: Sequence[Outcome]) -> Finding:
  """The three means of linear layers, against g 8/(3 pi), g and g exp(-1/2).

  At width n the logarithm of the determinant falls short by about log(n) / 2,
  so its n-th root by log(n) / 2n; the others by less.

  Holds if all six intervals hold their closed form, up to that share of it.

  Untested if linear layers with both kinds of weights are not in the run, no
  hidden layer has the width of the one below it, or an interval reaches farther
  than a twentieth to both sides: two of the means are 15% apart.
  """
  holds, lines = [], []
  gains = {'glorot': 1.0, 'standard': formulas.standard_factor(1) ** 0.5}
  forms = dict(
    zip(
      _MEANS,
      (
        theory.ARITHMETIC_MEAN,
        theory.RMS,
        theory.GEOMETRIC_MEAN,
      ),
      strict=True,
    )
  )
  for init, gain in gains.items():
    one = claims.one(outcomes, init=init, activation='identity')
    width = min(one.config.widths)
    slack = np.log(width) / (2 * width)
    for name, value in _means(one, cells=6).items():
      said = gain * forms[name]
      holds.append(
        claims.agrees(value, said, within=said / 20, slack=said * slack)
      )
      lines.append(f'{init} {_words(name)} {claims.told(value)} ({said:.4f})')
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


def _words(name: str) -> str:
  return 'arithmetic mean' if name == _MEANS[0] else in_words(name)


JACOBIAN = (
  Claim(
    'eq. 17, normalized',
    'With normalized weights and tanh the average singular value of a layer '
    'is around 0.8.',
    f'{SOURCE}, text after eq. 17',
    _around('glorot', 0.8),
  ),
  Claim(
    'eq. 17, standard',
    'With standard weights and tanh it drops down to 0.5.',
    f'{SOURCE}, text after eq. 17',
    _around('standard', 0.5),
  ),
  Claim(
    'eq. 17, which mean',
    "The paper's two numbers are the arithmetic mean; neither the rms, a "
    'ratio of deviations, nor the geometric mean, a ratio of volumes, is '
    'around both.',
    f'{SOURCE}, text after eq. 17, which takes them for one',
    _only_the_arithmetic_mean,
  ),
  Claim(
    'quarter circle',
    'Without a nonlinearity the three are 8/(3 pi) g, g and exp(-1/2) g, with '
    'g = 1 for normalized weights and 1/sqrt(3) for standard ones.',
    'the quarter-circle law of square random matrices',
    _quarter_circle,
  ),
)


# Histograms.


def _hidden(outcome: Outcome, field: str, least: int) -> np.ndarray:
  """`[S, hidden layers, ...]`, of so many at least."""
  found = outcome.measured[field][:, :-1]
  if found.shape[1] < least:
    raise claims.Untested(f'{found.shape[1]} hidden layers, not {least}')
  return found


def _peak_grows(outcomes: Sequence[Outcome]) -> Finding:
  """The share of activations with |z| < 0.05, layer over layer, upward.

  A twentieth of tanh's range is narrower than the peak of any layer, so that
  the share goes with the height of the peak.

  Holds if the intervals of all differences from one hidden layer to the next,
  by seed, lie above 0.

  Untested if standard weights are not in the run, or have one hidden layer.
  """
  one = claims.one(outcomes, init='standard')
  shares = (np.abs(_hidden(one, 'activation_sample', 2)) < 0.05).mean(-1)
  steps = claims.mean(np.diff(shares, axis=1))
  told = (claims.told(stats.mean(each), '%') for each in shares.T)
  return claims.finding(
    np.all(steps.low > 0), f'share with |z| < 0.05, upward: {", ".join(told)}'
  )


def _peak_shrinks(outcomes: Sequence[Outcome]) -> Finding:
  """The standard deviation of dC/ds, layer over layer, upward.

  Holds if the intervals of the ratios of all hidden layers to the one below, by
  seed, lie above 1.

  Untested if standard weights are not in the run, or have one hidden layer.
  """
  one = claims.one(outcomes, init='standard')
  stds = _hidden(one, 'gradient_std', 2)
  steps = claims.ratio(stds[:, 1:], stds[:, :-1])
  told = (claims.told(stats.mean(each)) for each in stds.T)
  return claims.finding(
    np.all(steps.low > 1),
    f'standard deviation of dC/ds, upward: {", ".join(told)}',
  )


def _alike(field: str, within: float, inits: Sequence[str]) -> claims.Check:
  def check(outcomes: Sequence[Outcome]) -> Finding:
    """The standard deviations of the hidden layers, over each other by seed.

    Holds if the intervals of the ratios of all pairs of hidden layers lie below
    the factor that the evidence names: 2 for activations and back-propagated
    gradients, of which standard weights shrink the variance to a third a layer
    and so make a ratio of 9 in five layers (eq. 13); 1.2 for weight gradients,
    which eq. 14 has equal whatever the weights.

    Untested if one of the kinds of weights is not in the run, or has less than
    four hidden layers: in three even standard weights make a ratio of 3.
    """
    holds, lines = True, []
    for init in inits:
      stds = _hidden(claims.one(outcomes, init=init), field, 4)
      above, below = np.array(
        list(itertools.permutations(range(stds.shape[1]), 2))
      ).T
      pairs = claims.ratio(stds[:, above], stds[:, below])
      holds &= bool(np.all(pairs.high < within))
      worst = int(pairs.high.argmax())
      value, low, high = (float(each[worst]) for each in pairs[:3])
      lines.append(f'{init} {value:.3g} [{low:.3g}, {high:.3g}]')
    return claims.finding(
      holds,
      f'largest over smallest standard deviation of the hidden layers: '
      f'{", ".join(lines)}; less than {within} wanted',
    )

  return check


HISTOGRAMS = (
  Claim(
    'figure 6, standard',
    'With standard weights the peak of the activations at 0 grows from layer '
    'to layer, upward.',
    f'{SOURCE}, figure 6, top',
    _peak_grows,
  ),
  Claim(
    'figure 6, normalized',
    'With normalized weights the layers have activations of about one size.',
    f'{SOURCE}, figure 6, bottom',
    _alike('activation_std', 2.0, ('glorot',)),
  ),
  Claim(
    'figure 7, standard',
    'With standard weights the back-propagated gradients shrink from layer to '
    'layer, downward.',
    f'{SOURCE}, figure 7, top',
    _peak_shrinks,
  ),
  Claim(
    'figure 7, normalized',
    'With normalized weights the back-propagated gradients are about as large '
    'in every layer.',
    f'{SOURCE}, figure 7, bottom',
    _alike('gradient_std', 2.0, ('glorot',)),
  ),
  Claim(
    'figure 8',
    'The weight gradients of all hidden layers have about one size, with '
    'either initialization.',
    f'{SOURCE}, figure 8 and eq. 14',
    _alike('weight_gradient_std', 1.2, ('standard', 'glorot')),
  ),
)
