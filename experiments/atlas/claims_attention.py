"""The two collapses of Giorlandino & Goldt: their lines, and what they say."""

from collections.abc import Callable
from typing import Any

import numpy as np

from initlab import attention, claims, roots

_ALIKE = 0.5  # the cosine, and the share of ln T, that a collapse is told by
_COLLAPSED = 0.9  # a cosine of tokens that are alike
_CLOSE = 0.1  # of a cosine, and of an entropy over ln T
_MOST = 64.0  # beta, beyond every map


def cosine_of_many(config: Any, beta: float) -> float:
  """Of two tokens where the last attention reads them, of many tokens.

  The authors' recursion: attention leaves p of the product of two tokens and
  p + (1 - p) y of the square, with y = 1 - beta_c / beta above beta_c =
  sqrt(2 / (1 - p)) and 0 below.
  """
  signal, block = config.start(), config.block()
  v = config.width**2 * block.value * block.output
  for _ in range(config.blocks - 1):
    p = signal.cosine
    y = max(0.0, 1 - (2 / max(1 - p, 1e-12)) ** 0.5 / beta)
    mixed = attention.Signal(0.0, v * (p + (1 - p) * y), v * p)
    signal = attention.layer_norm(attention.add(signal, mixed))
    hidden = attention.linear(signal, config.width, block.up)
    fed = attention.linear(attention.relu(hidden), block.hidden, block.down)
    signal = attention.layer_norm(attention.add(signal, fed))
  return signal.cosine


def rank_collapse(config: Any) -> float:
  """The beta up to which tokens end with a cosine above 1/2, of many tokens."""
  return _crossing(lambda beta: _ALIKE - cosine_of_many(config, beta))


def critical_beta(config: Any) -> float:
  """The beta from which the last attention has few keys, of many tokens."""
  return _crossing(
    lambda beta: beta**2 * (1 - cosine_of_many(config, beta)) - 2
  )


def _crossing(rising: Callable[[Any], Any]) -> float:
  """The beta at which this is 0, to 0.0005; no more than that if none is."""
  ends = np.zeros(()), np.array(_MOST)
  return float(roots.bisect(rising, *ends, halvings=16))


def _at(outcomes: Any, beta: Any, residual: Any) -> Any:
  """The setting at the least or the largest of each knob."""
  knobs = {'beta': beta, 'residual': residual}
  ends = {
    name: end(getattr(each.config, name) for each in outcomes)
    for name, end in knobs.items()
  }
  return claims.one(outcomes, **ends)


@claims.claim('atlas 11, rank collapse', 'Giorlandino & Goldt, 2025, abstract')
def rank(outcomes):
  """With small logits tokens become alike, unless the residual is strong.

  Holds if of the settings of least beta the interval of the cosine lies above
  0.9 at the weakest residual, and below 0.5 at the strongest.

  Untested if the least beta is not below the critical one of tokens that are
  not correlated, sqrt(2).
  """
  found = claims.every(outcomes)
  if not min(each.config.beta for each in found) < 2**0.5:
    raise claims.Untested('no beta below the critical one')
  weak, strong = (
    claims.mean(_at(found, min, end).measured['cosine']) for end in (min, max)
  )
  return claims.finding(
    weak.low > _COLLAPSED and strong.high < _ALIKE,
    f'cosine {weak} at the weakest residual, {strong} at the strongest',
  )


@claims.claim(
  'atlas 11, entropy collapse', 'Giorlandino & Goldt, 2025, abstract'
)
def entropy(outcomes):
  """With large logits tokens stay apart, but queries attend to a few keys.

  Holds if at the strongest residual the interval of the entropy over ln T lies
  above 0.5 with the least beta, and below 0.5 with the largest; and if of the
  residual that is nearest to 1 the interval of the cosine with the largest beta
  less that with the least lies below 0.

  Untested if the betas are not on both sides of the critical one of tokens that
  are not correlated, sqrt(2).
  """
  found = claims.every(outcomes)
  betas = [each.config.beta for each in found]
  if not min(betas) < 2**0.5 < max(betas):
    raise claims.Untested('no betas on both sides of the critical one')
  least, largest = (
    claims.mean(_at(found, end, max).measured['entropy']) for end in (min, max)
  )
  nearest = min(
    (each.config.residual for each in found), key=lambda x: abs(x - 1)
  )
  middle = claims.every(found, residual=nearest)
  small, large = (
    _at(middle, end, max).measured['cosine'] for end in (min, max)
  )
  apart = claims.mean(large - small)
  return claims.finding(
    least.low > _ALIKE and largest.high < _ALIKE and apart.high < 0,
    f'entropy {least} and {largest} of ln T; at a residual of {nearest:g} the '
    f'cosine changes by {apart}',
  )


@claims.claim(
  'atlas 11, diagram', 'Giorlandino & Goldt, 2025, abstract and section 3'
)
def diagram(outcomes):
  """Theory tells both order parameters everywhere on the map.

  Holds if the intervals of the cosine and of the entropy over ln T, of every
  setting, hold values within 0.1 of those of wide networks with as many tokens,
  half of each being no wider than that. The intervals cover together.

  Untested if the run has no setting.
  """
  found = claims.every(outcomes)
  names, cells = ('cosine', 'entropy'), 2 * len(found)
  held, off = [], {}
  for name in names:
    expected = np.array([each.predicted[name] for each in found])
    measured = np.stack([each.measured[name] for each in found], axis=1)
    level = claims.mean(measured, cells)
    held.append(claims.agrees(level, expected, within=_CLOSE, slack=_CLOSE))
    off[name] = float(np.max(np.abs(level.value - expected)))
  told = ', '.join(f'{name} {value:.3f}' for name, value in off.items())
  return claims.finding(
    claims.together(held), f'{cells} means; off by at most: {told}'
  )


CLAIMS = (rank, entropy, diagram)
