"""The coordinate check: do activations keep their size as a model gets wider?

A parametrization is right if, whatever the width n, every site's output x is of
the same size at initialization, and so is its change in the first steps:

    rms(x_0) ~ n^0,    rms(x_t - x_0) ~ n^0,   t = 1, 2, ...

    found = coordinate_check(make, optimizer=optax.adam(1e-3))
    print(found)

Outputs that do not grow with the width (logits, attention logits) may be
smaller at initialization in wider models; they must move alike. Take a batch of
few tokens, no more than a head has dimensions: among many, the change of an
attention logit that grows with the width is lost in that which does not.

What a pass does not prove: that a learning rate transfers, or that training is
any good. It sees a few steps from the start, one batch, and the widths that it
was given; slopes far below the tolerance add up over many decades of width; two
mistakes that cancel at one site are seen only where they do not; depth, batch
size and the horizon of training are not varied; and nothing is said of what is
not a site, nor of an epsilon or a decay that matters only later.

References:
  Yang et al., 2022, Tensor Programs V, appendix D.1, figure 5.
  https://arxiv.org/abs/2203.03466
"""

from collections.abc import Callable, Iterable, Sequence
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import optax

from initlab import base, keys, stats
from initlab.models import first_steps, parametrization

TOLERANCE = 0.1


class Verdict(NamedTuple):
  """What is said of one site.

  site: its name.
  finding: 'explodes' or 'vanishes' of its change, 'starts too large' or
    'starts too small' of itself at initialization.
  slope: that says so, d log2 rms / d log2 n.
  """

  site: str
  finding: str
  slope: stats.Estimate

  def __str__(self) -> str:
    return f'{self.site} {self.finding}: slope {self.slope}'


@dataclasses.dataclass(frozen=True)
class Coordinates:
  """Sizes of activations and of their changes, by width.

  seeds: `[S]` ascending.
  widths: `[W]` that the model was made at.
  sites: names; in a loop over layers one a layer, as 'blocks/up[1]'.
  grows: for each site, whether its output has more entries in wider models.
  start: `[S, W, sites]` rms(x_0).
  moved: `[S, W, T, sites]` rms(x_t - x_0), t = 1, ..., T.
  loss: `[S, W, T + 1]` of the batch before each step, and after the last.
  tolerance: how far from 0 a slope may be.
  root_seed: the seed of the study.
  """

  seeds: np.ndarray
  widths: tuple[int, ...]
  sites: tuple[str, ...]
  grows: tuple[bool, ...]
  start: np.ndarray
  moved: np.ndarray
  loss: np.ndarray
  tolerance: float
  root_seed: int

  @property
  def start_slopes(self) -> np.ndarray:
    """`[S, sites]` slope of log2 rms(x_0) on log2 n."""
    return _slopes(self.widths, self.start)

  @property
  def mean_slopes(self) -> np.ndarray:
    """`[S, sites]` slope of log2 rms(x_t - x_0), averaged over the steps."""
    return _slopes(self.widths, self.moved).mean(axis=1)

  @property
  def start_slope(self) -> stats.Estimate:
    """`start_slopes`, `[sites]` mean over seeds."""
    return stats.mean(self.start_slopes)

  @property
  def mean_slope(self) -> stats.Estimate:
    """`mean_slopes`, `[sites]` mean over seeds."""
    return stats.mean(self.mean_slopes)

  @property
  def verdicts(self) -> tuple[Verdict, ...]:
    """What is wrong, for each site whose slope's interval is out of tolerance.

    A site whose output does not grow with the width may start smaller in wider
    models. One that is zero, or does not move, in all of them has no slope.
    """
    found = []
    for kind, names, slopes in (
      ('moved', ('explodes', 'vanishes'), self.mean_slope),
      ('start', ('starts too large', 'starts too small'), self.start_slope),
    ):
      for index, site in enumerate(self.sites):
        own = slopes.at(index)
        may_shrink = kind == 'start' and not self.grows[index]
        if own.low > self.tolerance:
          found.append(Verdict(site, names[0], own))
        elif own.high < -self.tolerance and not may_shrink:
          found.append(Verdict(site, names[1], own))
    return tuple(found)

  def to_frame(self) -> Any:
    """A tidy `pandas.DataFrame`, one row a site, width, seed and step.

    Returns:
      Columns `site`, `width`, `seed`, `step` and `rms`: of x_0 at step 0, of
      x_t - x_0 at step t.
    """
    import pandas as pd

    values = np.concatenate([self.start[:, :, None], self.moved], axis=2)
    seed, width, step, site = np.indices(values.shape)
    return pd.DataFrame(
      {
        'site': np.asarray(self.sites)[site.ravel()],
        'width': np.asarray(self.widths)[width.ravel()],
        'seed': self.seeds[seed.ravel()],
        'step': step.ravel(),
        'rms': values.ravel(),
      }
    )

  def __str__(self) -> str:
    width = max(map(len, self.sites))
    lines = [
      f'{"site":{width}}  rms(x_0)  rms(x_t - x_0), slopes on log2 width'
    ]
    for index, site in enumerate(self.sites):
      slopes = self.start_slope.at(index), self.mean_slope.at(index)
      lines.append('  '.join([site.ljust(width), *map(str, slopes)]))
    verdicts = [str(each) for each in self.verdicts]
    return '\n'.join([*lines, *(verdicts or [self.healthy])])

  @property
  def judged(self) -> bool:
    """Whether there are seeds enough for an interval, and so for a verdict."""
    return len(self.seeds) >= stats.FEWEST

  @property
  def healthy(self) -> str:
    """What is said where no verdict is."""
    seeds = len(self.seeds)
    if not self.judged:
      return f'not judged: an interval takes {stats.FEWEST} seeds, not {seeds}'
    return (
      f'every slope is within {self.tolerance:g} of 0, or not told from it by '
      f'{seeds} seeds at widths {", ".join(map(str, self.widths))}'
    )


def coordinate_check(
  make: parametrization.Make,
  widths: Sequence[int] = (64, 128, 256, 512),
  *,
  optimizer: optax.GradientTransformation | Callable[..., Any],
  rules: Callable[[int], Any] | None = None,
  steps: int = 4,
  seeds: int | Iterable[int] = stats.FEWEST,
  root_seed: int = 0,
  tolerance: float = TOLERANCE,
) -> Coordinates:
  """Trains a model of several widths for a few steps on one batch.

  Args:
    make: `width -> (init, loss, batch)`: `key -> params`, `(params, *batch) ->
      []`, and a tuple of arrays, best the same for every width.
    widths: two or more.
    optimizer: of every width; or with `rules`, what makes the optimizer of the
      leaves with one rule, as for `parametrization.optimizer`.
    rules: `width -> rules`, as `lambda width: mup(make, width, 64)`: the params
      are rescaled and the optimizer is made by them. None for neither.
    steps: T, at least 1.
    seeds: how many, or which; below 5 slopes have no interval, and nothing is
      judged.
    root_seed: the seed of the study.
    tolerance: how far from 0 a slope may be.

  Returns:
    What was found; `print` it.

  Raises:
    UserError: fewer than two widths, no step or seed, a loss that is not a
      scalar, or sites that differ between the widths.
  """
  chosen = keys.seeds(seeds)
  if len(set(widths)) < 2 or steps < 1:
    raise base.UserError(
      f'a coordinate check of widths {tuple(widths)} and {steps} steps: it '
      'takes two widths or more, and a step'
    )
  found = [
    first_steps.at_width(
      make(width), optimizer, rules and rules(width), steps, chosen, root_seed
    )
    for width in widths
  ]
  names = found[0].names
  for width, other in zip(widths, found, strict=True):
    if other.names != names:
      raise base.UserError(
        f'the models of width {widths[0]} and {width} have different sites: '
        f'{", ".join(sorted(set(names) ^ set(other.names)))}'
      )
  sizes = np.array([each.sizes for each in found])
  rms = np.stack([each.rms for each in found], axis=1)
  return Coordinates(
    chosen,
    tuple(widths),
    names,
    tuple(bool(grows) for grows in sizes[0] != sizes[-1]),
    rms[:, :, 0],
    rms[:, :, 1:],
    np.stack([each.loss for each in found], axis=1),
    tolerance,
    root_seed,
  )


def _slopes(widths: Sequence[int], rms: np.ndarray) -> np.ndarray:
  """`[S, ...]` of `[S, W, ...]`: least squares of log2 rms on log2 width."""
  x = np.log2(np.asarray(widths, np.float64))
  x = x - x.mean()
  with np.errstate(divide='ignore', invalid='ignore'):
    y = np.log2(rms.astype(np.float64))
    return np.tensordot(x / (x @ x), y, axes=(0, 1))
