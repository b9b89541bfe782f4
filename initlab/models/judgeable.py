"""What of an audit can be judged: finite numbers, of seeds enough.

A signal is wrong if an interval over seeds is beyond its limit (`symptoms`),
and an interval takes `stats.FEWEST` seeds. Fewer find nothing, which is
not to say that nothing is wrong: in the whole model, where an audit has no more
seeds; or at one place, as in a branch of a `cond` that few of them take.
"""

from collections.abc import Iterable
import itertools
from typing import NamedTuple

import numpy as np

from initlab import stats
from initlab.models import finding, places
from initlab.models.audit import Audit
from initlab.models.finding import Finding
from initlab.models.places import Site

# Kinds that need no interval over seeds.
OF_ANY_SEED = (
  finding.EXPECTED,
  finding.OUTLIER,
  finding.NONFINITE,
  finding.STARVED,
  finding.SYMMETRIC,
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
  if nonfinite(audit):
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


class _Place(NamedTuple):
  """Where a number may not be finite.

  leaf, site: as of a Finding.
  bad: `[S]` whether it is not.
  what: it is, in words.
  advice: what to do about it.
  """

  leaf: str
  site: str
  bad: np.ndarray
  what: str
  advice: str


def nonfinite(audit: Audit) -> tuple[Finding, ...]:
  """The first number that is not finite, if any.

  Of leaves; of outputs, from the first site on; of the loss, or of what the
  model gives; of gradients of outputs, from the last site down; of gradients of
  leaves.
  """
  seeds = len(audit.seeds)
  for each in itertools.chain(
    _leaves(audit), _outputs(audit), _result(audit), _gradients(audit)
  ):
    if each.bad.any():
      count = int(each.bad.sum())
      sentence = (
        f'{each.what} is not finite in {count} of {seeds} seeds: {each.advice}.'
      )
      share = stats.share(count, seeds)
      kind = finding.NONFINITE
      return (Finding(kind, each.leaf, each.site, share, sentence),)
  return ()


def _leaves(audit: Audit) -> Iterable[_Place]:
  for leaf in audit.measured_leaves:
    bad = ~np.isfinite(leaf.measured['square'])
    yield _Place(leaf.name, '', bad, leaf.name, 'check what draws it')


def _outputs(audit: Audit) -> Iterable[_Place]:
  for site in _weighed(audit):
    yield _of_site(
      site,
      'forward_square',
      f'the output of {site.name}',
      'the signal grows too fast before it',
    )


def _result(audit: Audit) -> Iterable[_Place]:
  what, measure = "the model's output", 'output_mean'
  if audit.scalar:
    what, measure = 'the loss', 'loss'
  bad = ~np.isfinite(audit.measured[measure])
  yield _Place(
    '',
    '',
    bad,
    what,
    'the outputs of all sites are, so check what follows them',
  )


def _gradients(audit: Audit) -> Iterable[_Place]:
  for site in reversed(_weighed(audit)):
    yield _of_site(
      site,
      'backward_square',
      f'the gradient of the output of {site.name}',
      'check the slopes of what its output enters',
    )
  for leaf in audit.measured_leaves:
    bad = ~np.isfinite(leaf.measured['gradient'])
    what = f'the gradient of {leaf.name}'
    yield _Place(
      leaf.name, '', bad, what, 'check the slopes of what reads the leaf'
    )


def _weighed(audit: Audit) -> list[Site]:
  """The sites with a weight."""
  return [site for site in audit.sites if site.kind != 'product']


def _of_site(site: Site, measure: str, what: str, advice: str) -> _Place:
  """A measure of a site; where no seed runs it, its weight is NaN as well."""
  weight, found = (
    places.by_iteration(site.measured[name])
    for name in ('weight_square', measure)
  )
  bad = np.any(np.isfinite(weight) & ~np.isfinite(found), axis=1)
  leaf = site.leaves[0] if len(site.leaves) == 1 else ''
  return _Place(leaf, site.name, bad, what, advice)
