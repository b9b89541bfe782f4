"""Statements of Glorot & Bengio 2010 about networks before any training.

JACOBIAN is checked on `experiments.jacobian` and HISTOGRAMS on
`experiments.variance`, with standard and normalized weights ('standard' and
'glorot') in one run.

How they decide. Everything that a statement compares, in all layers and
settings, has its interval over seeds; these are widened so that all of them
cover with a probability of 1 - ALPHA. A prediction agrees where every interval
holds it; a difference is one where no interval reaches 0, or 1.
"""

from collections.abc import Callable, Sequence
import itertools

import numpy as np

from initlab import base, claims, linear_regime, stats

ALPHA = 0.01

SOURCE = 'Glorot & Bengio 2010'

Check = Callable[[Sequence[base.Outcome]], base.Finding]


def simultaneous(values: np.ndarray, cells: int) -> stats.Estimate:
  """Means over seeds whose intervals cover in so many cells together.

  Args:
    values: `[S, ...]`.
    cells: intervals that one statement rests on; by Bonferroni, each errs with
      a probability of ALPHA / cells.

  Raises:
    Untested: a single seed has no interval.
  """
  if len(values) < 2:
    raise claims.Untested('one seed has no interval')
  return stats.mean(values, confidence=1 - ALPHA / cells)


# The layer Jacobian.

_MEANS = ('mean_singular_value', 'rms', 'geometric_mean')


def _around(init: str, said: float) -> Check:
  """The number of the paper, to the one digit that it has."""

  def check(outcomes: Sequence[base.Outcome]) -> base.Finding:
    one = claims.one(outcomes, init=init, activation='tanh')
    found = _means(one)
    value = found['mean_singular_value']
    others = (f'{_words(name)} {claims.told(found[name])}' for name in _MEANS)
    return claims.finding(
      _rounds_to(value, said), f'paper {said}; measured: {", ".join(others)}'
    )

  return check


def _only_the_arithmetic_mean(
  outcomes: Sequence[base.Outcome],
) -> base.Finding:
  """Of each of the three, whether it rounds to both numbers of the paper."""
  found = {
    init: _means(claims.one(outcomes, init=init, activation='tanh'))
    for init in ('glorot', 'standard')
  }
  said = {'glorot': 0.8, 'standard': 0.5}
  fits = {
    name: [_rounds_to(found[init][name], said[init]) for init in said]
    for name in _MEANS
  }
  lines = [
    f'{_words(name)} {claims.told(found["glorot"][name])} and '
    f'{claims.told(found["standard"][name])}'
    for name in _MEANS
  ]
  right = fits.pop('mean_singular_value')
  return claims.finding(
    all(right) and not any(map(all, fits.values())),
    'normalized and standard: ' + '; '.join(lines),
  )


def _quarter_circle(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """g 8/(3 pi), g and g exp(-1/2) without a nonlinearity.

  At width n the logarithm of the determinant falls short by about log(n) / 2,
  so its n-th root by log(n) / 2n; the others by less.
  """
  holds, lines = True, []
  gains = {'glorot': 1.0, 'standard': linear_regime.standard_factor(1) ** 0.5}
  forms = dict(
    zip(
      _MEANS,
      (
        linear_regime.ARITHMETIC_MEAN,
        linear_regime.RMS,
        linear_regime.GEOMETRIC_MEAN,
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
      holds &= bool(
        value.low <= said * (1 + slack) and said * (1 - slack) <= value.high
      )
      lines.append(f'{init} {_words(name)} {claims.told(value)} ({said:.4f})')
  return claims.finding(holds, 'measured (closed form): ' + ', '.join(lines))


def _means(outcome: base.Outcome, cells: int = 1) -> dict[str, stats.Estimate]:
  """The three means, over the layers of two equal widths."""
  square = square_layers(outcome.config.layer_widths())
  if not square.any():
    raise claims.Untested('no hidden layer has the width of the one below it')
  return {
    name: simultaneous(outcome.measured[name][:, square].mean(1), cells)
    for name in _MEANS
  }


def square_layers(widths: Sequence[int]) -> np.ndarray:
  """Which layers lead from a hidden layer to one of the same width, `[L]`."""
  square = [a == b for a, b in itertools.pairwise(widths)]
  return np.array([False, *square[1:-1], False][: len(square)])


def _rounds_to(value: stats.Estimate, said: float) -> bool:
  return bool(said - 0.05 <= value.low and value.high < said + 0.05)


def _words(name: str) -> str:
  return 'arithmetic mean' if name == _MEANS[0] else base.in_words(name)


JACOBIAN = (
  base.Claim(
    'eq. 17, normalized',
    'With normalized weights and tanh the average singular value of a layer '
    'is around 0.8.',
    f'{SOURCE}, text after eq. 17',
    _around('glorot', 0.8),
  ),
  base.Claim(
    'eq. 17, standard',
    'With standard weights and tanh it drops down to 0.5.',
    f'{SOURCE}, text after eq. 17',
    _around('standard', 0.5),
  ),
  base.Claim(
    'eq. 17, which mean',
    "The paper's two numbers are the arithmetic mean; neither the rms, a "
    'ratio of deviations, nor the geometric mean, a ratio of volumes, is '
    'around both.',
    f'{SOURCE}, text after eq. 17, which takes them for one',
    _only_the_arithmetic_mean,
  ),
  base.Claim(
    'quarter circle',
    'Without a nonlinearity the three are 8/(3 pi) g, g and exp(-1/2) g, with '
    'g = 1 for normalized weights and 1/sqrt(3) for standard ones.',
    'the quarter-circle law of square random matrices',
    _quarter_circle,
  ),
)


# Histograms.


def _peak_grows(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """The share of values near 0, layer over layer, upward."""
  one = claims.one(outcomes, init='standard')
  near = np.abs(one.measured['activation_sample'][:, :-1]) < 0.05
  shares = near.mean(-1)
  steps = simultaneous(np.diff(shares, axis=1), max(1, shares.shape[1] - 1))
  told = (claims.told(stats.mean(each), '%') for each in shares.T)
  return claims.finding(
    np.all(steps.low > 0), f'share with |z| < 0.05, upward: {", ".join(told)}'
  )


def _peak_shrinks(outcomes: Sequence[base.Outcome]) -> base.Finding:
  """The deviation of dC/ds, layer over layer, downward."""
  one = claims.one(outcomes, init='standard')
  stds = one.measured['gradient_std'][:, :-1]
  steps = simultaneous(
    np.log(stds[:, 1:] / stds[:, :-1]), max(1, stds.shape[1] - 1)
  )
  told = (claims.told(stats.mean(each)) for each in stds.T)
  return claims.finding(
    np.all(steps.low > 0), f'deviation of dC/ds, upward: {", ".join(told)}'
  )


def _alike(field: str, within: float, inits: Sequence[str]) -> Check:
  """The hidden layers are within a factor, and are not without a reason.

  The factor is of the extreme layers' deviations, which bounds all others'.
  """

  def check(outcomes: Sequence[base.Outcome]) -> base.Finding:
    holds, lines = True, []
    for init in inits:
      one = claims.one(outcomes, init=init)
      stds = one.measured[field][:, :-1]
      average = stds.mean(0)
      ends = stds[:, average.argmax()] / stds[:, average.argmin()]
      spread = simultaneous(ends, len(inits))
      holds &= bool(spread.high < within)
      lines.append(f'{init} {claims.told(spread)}')
    return claims.finding(
      holds,
      f'largest over smallest deviation of the hidden layers: '
      f'{", ".join(lines)}; less than {within} wanted',
    )

  return check


HISTOGRAMS = (
  base.Claim(
    'figure 6, standard',
    'With standard weights the peak of the activations at 0 grows from layer '
    'to layer, upward.',
    f'{SOURCE}, figure 6, top',
    _peak_grows,
  ),
  base.Claim(
    'figure 6, normalized',
    'With normalized weights the layers have activations of about one size.',
    f'{SOURCE}, figure 6, bottom',
    _alike('activation_std', 2.0, ('glorot',)),
  ),
  base.Claim(
    'figure 7, standard',
    'With standard weights the back-propagated gradients shrink from layer to '
    'layer, downward.',
    f'{SOURCE}, figure 7, top',
    _peak_shrinks,
  ),
  base.Claim(
    'figure 7, normalized',
    'With normalized weights the back-propagated gradients are about as large '
    'in every layer.',
    f'{SOURCE}, figure 7, bottom',
    _alike('gradient_std', 2.0, ('glorot',)),
  ),
  base.Claim(
    'figure 8',
    'The weight gradients of all hidden layers have about one size, with '
    'either initialization.',
    f'{SOURCE}, figure 8 and eq. 14',
    _alike('weight_gradient_std', 1.2, ('standard', 'glorot')),
  ),
)
