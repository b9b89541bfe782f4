"""What of an audit can be judged: finite numbers, of seeds enough.

A signal is wrong if an interval over seeds is beyond its limit (`symptoms`),
and an interval takes `stats.FEWEST` seeds. Fewer find nothing, which is
not to say that nothing is wrong: in the whole model, where an audit has no more
seeds; or at one place, as in a branch of a `cond` that few of them take.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from initlab import stats
from initlab.models import finding, places
from initlab.models.audit import Audit
from initlab.models.finding import Finding

# Kinds that need no interval over seeds.
OF_ANY_SEED = (
  finding.EXPECTED,
  finding.OUTLIER,
  finding.NONFINITE,
  finding.STARVED,
)

# Kind of place -> a measure that is finite where it runs; what it is judged by.
_SIGNALS: dict[str, tuple[str, tuple[str, ...]]] = {
  'site': (
    'forward_square',
    (
      finding.MEAN,
      finding.VANISHING,
      finding.EXPLODING,
      finding.OVERCONFIDENT,
    ),
  ),
  'activation': ('saturated', (finding.DEAD, finding.SATURATED)),
  'residual': ('sum_square', (finding.BRANCH, finding.COLLAPSE)),
}


class Unjudged(NamedTuple):
  """Kinds of findings that there are too few seeds for.

  kinds: of `finding.KINDS`.
  place: its name; '' for all of the model.
  finite: how many seeds have numbers there, in the iteration with the fewest,
    but for those with none; 0 if no seed runs it.
  total: the number of seeds.
  """

  kinds: tuple[str, ...]
  place: str
  finite: int
  total: int

  def __str__(self) -> str:
    needs = f'an interval takes {stats.FEWEST} seeds'
    if not self.place:
      return f'not judged: {", ".join(self.kinds)}; {needs}, not {self.total}'
    return (
      f'not judged: the signals at {self.place}; {needs}, and {self.finite} of '
      f'{self.total} have numbers there'
    )


def unjudged(audit: Audit) -> tuple[Unjudged, ...]:
  """What there are too few seeds for; of numbers that are not finite, nothing.

  An activation that also depends on params is left out, as in `symptoms`.
  """
  total = len(audit.seeds)
  if total < stats.FEWEST:
    kinds = tuple(each for each in finding.KINDS if each not in OF_ANY_SEED)
    return (Unjudged(kinds, '', total, total),)
  if any(nonfinite(audit)):
    return ()
  found = []
  for kind, place in audit.all_places:
    measure, kinds = _SIGNALS.get(kind, ('', ()))
    if measure in place.measured and getattr(place, 'kind', '') != 'product':
      counts = finite_seeds(place.measured[measure])
      fewest = int(min(counts[counts > 0], default=0))
      if fewest < stats.FEWEST:
        found.append(Unjudged(kinds, place.name, fewest, total))
  return tuple(found)


def finite_seeds(measured: np.ndarray) -> np.ndarray:
  """`[I]` the number of finite seeds of each iteration, of `[S, ...]`."""
  return np.isfinite(places.by_iteration(measured)).sum(axis=0)


def nonfinite(audit: Audit) -> Iterable[Finding]:
  """Leaves that are not finite; else the first site whose output is not."""
  seeds = len(audit.seeds)
  for leaf in audit.measured_leaves:
    bad = ~np.isfinite(leaf.measured['square'])
    if bad.any():
      yield Finding(
        finding.NONFINITE,
        leaf.name,
        '',
        stats.share(int(bad.sum()), seeds),
        f'{leaf.name} is not finite in {bad.sum()} of {seeds} seeds: '
        'check what draws it.',
      )
      return
  for site in audit.sites:
    if site.kind == 'product':
      continue
    # Where a branch of a `cond` is not taken, the weight is NaN as well.
    run = np.isfinite(site.measured['weight_square'])
    wrong = run & ~np.isfinite(site.measured['forward_square'])
    bad = wrong.reshape(seeds, -1).any(axis=1)
    if bad.any():
      yield Finding(
        finding.NONFINITE,
        site.leaves[0] if len(site.leaves) == 1 else '',
        site.name,
        stats.share(int(bad.sum()), seeds),
        f'the output of {site.name} is not finite in {bad.sum()} of '
        f'{seeds} seeds: the signal grows too fast before it.',
      )
      return
