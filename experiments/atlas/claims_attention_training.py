"""What Giorlandino & Goldt say of training in the regions of their diagram.

Between the lines beta is above that of rank collapse and below the critical
one, which is where the residual is strong and the logits are small. A weak
residual with large logits is beyond both lines, and counts for both claims.

Rates are chosen on the seeds that judge. The intervals of pairs cover for all
choices of the two rates; those of means over a region, whose choices are two to
the power of its settings, do not, which their evidence says.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import numpy as np

from initlab import claims

from . import claims_attention

_SOURCE = 'Giorlandino & Goldt, 2025, abstract and the trainability diagram'


def _alike(config: Any) -> bool:
  """Whether tokens are alike before training: on the line of rank, or below."""
  return config.beta <= claims_attention.rank_collapse(config)


def _few(config: Any) -> bool:
  """Whether queries attend to a few keys: on the critical beta, or above."""
  return config.beta >= claims_attention.critical_beta(config)


def _between(config: Any) -> bool:
  return not (_alike(config) or _few(config))


def _losses(outcomes: Any, region: Callable[[Any], bool]) -> np.ndarray:
  """After training, of each place of a region at its best rate, `[N, S]`.

  The best rate has the least mean. A seed that diverged counts as a guess.
  """
  losses: dict[Any, list[np.ndarray]] = {}
  for each in claims.every(outcomes):
    if region(each.config):
      loss = each.measured['mean_loss']
      guess = each.config.language().blind
      place = dataclasses.replace(each.config, learning_rate=1.0)
      known = losses.setdefault(place, [])
      known.append(np.where(np.isfinite(loss), loss, guess))
  if not losses:
    raise claims.Untested('no setting in one of the regions')
  return np.array([min(each, key=np.mean) for each in losses.values()])


def _worse(outcomes: Any, region: Callable[[Any], bool]) -> Any:
  """Compares the mean loss of a region with that between the lines."""
  failed, learned = (
    _losses(outcomes, each).mean(axis=0) for each in (region, _between)
  )
  more = claims.mean(failed - learned)
  return claims.finding(
    more.low > 0,
    f'loss {claims.mean(failed)}, and {claims.mean(learned)} between the '
    f'lines: {more} more, not widened for the choice of rates',
  )


@claims.claim('atlas 11, training after rank collapse', _SOURCE)
def rank(outcomes):
  """Networks that start with tokens that are alike learn less.

  Holds if the interval of the loss after training, the mean of all settings on
  the line of rank collapse or below it less that of all between the lines,
  paired by seed, lies above 0. Each setting has the rate at which its mean loss
  is least.

  Untested if one of the two regions has no setting.
  """
  return _worse(outcomes, _alike)


@claims.claim('atlas 11, training after entropy collapse', _SOURCE)
def entropy(outcomes):
  """Networks that start with queries that attend to a few keys learn less.

  Holds if the interval of the loss after training, the mean of all settings on
  the line of the critical beta or above it less that of all between the lines,
  paired by seed, lies above 0. Each setting has the rate at which its mean loss
  is least.

  Untested if one of the two regions has no setting.
  """
  return _worse(outcomes, _few)


@claims.claim('atlas 11, training by the diagram', _SOURCE)
def diagram(outcomes):
  """Every network between the lines learns more than every other one.

  Holds if of each pair of settings, one between the lines and one that is not,
  the interval of the difference of the losses after training, paired by seed,
  lies above 0: an intersection-union test. Each setting has the rate at which
  its mean loss is least.

  Untested if no setting is between the lines, or all are.
  """
  learned = _losses(outcomes, _between)
  failed = _losses(outcomes, lambda config: not _between(config))
  pairs = (failed[:, None] - learned[None, :]).reshape(-1, failed.shape[1])
  rates = len({each.config.learning_rate for each in outcomes})
  more = claims.mean(pairs.T, rates**2)
  least = int(np.argmin(more.low))
  return claims.finding(
    np.all(more.low > 0),
    f'{np.sum(more.low > 0)} of {len(pairs)} pairs differ so; the least '
    f'difference is {more.at(least)}',
  )


CLAIMS = (rank, entropy, diagram)
