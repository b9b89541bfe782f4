"""What can be wrong with a model's initialization: the kinds of findings."""

from typing import NamedTuple

import numpy as np

from initlab import stats

EXPECTED = 'expected'
OUTLIER = 'outlier'
NONFINITE = 'nonfinite'
STARVED = 'starved'
SYMMETRIC = 'symmetric'
REPEATED = 'repeated'
DEAD = 'dead'
SATURATED = 'saturated'
SPIKE = 'spike'
MEAN = 'mean'
VANISHING = 'vanishing'
EXPLODING = 'exploding'
BRANCH = 'branch'
COLLAPSE = 'collapse'
OVERCONFIDENT = 'overconfident'

# Kind -> what its factor is.
KINDS: dict[str, str] = {
  EXPECTED: 'standard deviation of the leaf over that of its declared law',
  OUTLIER: "standard deviation of the leaf over that of the model's own law",
  NONFINITE: 'share of seeds whose numbers are not finite',
  STARVED: 'root mean square of what the weight sees: zero',
  SYMMETRIC: 'value of all entries of the leaf',
  REPEATED: 'correlation with the entries that the leaf repeats',
  DEAD: 'share of units whose slope is zero on all of the batch',
  SATURATED: 'share of slopes below a tenth of the steepest',
  SPIKE: 'share of one entry in the sum of squares of its leaf',
  MEAN: "output's mean over the input's root mean square",
  VANISHING: 'gradient at the first site over that at the last hidden one',
  EXPLODING: 'gradient at the first site over that at the last hidden one',
  BRANCH: 'root mean square of the stream, last add over the first',
  COLLAPSE: 'cosine of two tokens of an example after the last residual add',
  OVERCONFIDENT: 'loss above that of an even guess, in nats',
}


class Finding(NamedTuple):
  """One thing that is wrong with a model's initialization.

  kind: a key of `KINDS`.
  leaf: the path of the leaf to blame; '' where no single one is.
  site: the name of the place where it shows; ''.
  factor: see `KINDS`, with its interval over seeds.
  sentence: what is wrong and what to do about it.
  """

  kind: str
  leaf: str
  site: str
  factor: stats.Estimate
  sentence: str


def certain(value: float, seeds: int) -> stats.Estimate:
  """A number that all seeds agree on."""
  x = np.asarray(value)
  return stats.Estimate(x, x, x, np.asarray(seeds), seeds)
