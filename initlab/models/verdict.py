"""The verdict on an audit: what is wrong, in which leaf, by what factor.

Three kinds of evidence, each with a limit that has a reason of its own:

* Laws that the author declared (`expected`).
* The law that the model itself follows, and what departs from it without any
  recipe that would explain it (`own_law`).
* What the signals show whatever the laws: units that are dead or saturated, a
  weight that sees zeros only, gradients or a stream that change by orders of
  magnitude with depth, examples that cannot be told apart, a loss far above an
  even guess.
"""

from collections.abc import Iterable, Sequence
import math

import numpy as np

from initlab import base, stats
from initlab.models import (
  expected,
  finding,
  judgeable,
  own_law,
  places,
  symptoms,
)
from initlab.models.audit import Audit
from initlab.models.finding import Finding

# A declared law is met to 1%, which rounding to bfloat16 and quoted constants
# such as 0.8796 need, or to this many standard errors: five, which chance
# exceeds in one leaf of two million.
_DECLARED = 0.01
_ERRORS = 5


class VerdictError(Exception):
  """A model's initialization has findings that it must not have.

  findings: these.
  """

  def __init__(self, findings: Sequence[Finding]):
    self.findings = tuple(findings)
    lines = [f'{each.kind}: {each.sentence}' for each in self.findings]
    super().__init__('\n'.join(lines))


def findings(
  audit: Audit, expect: expected.Expected | None = None
) -> tuple[Finding, ...]:
  """What is wrong with a model's initialization.

  Args:
    audit: of the model.
    expect: declared laws, pattern of leaves -> law, or a TOML file of them; see
      `expected`. A leaf with a declared law is judged by that alone.

  Returns:
    Findings: of declared laws first, then of the model's own law, then of its
    signals. None if nothing is wrong that could be judged, see
    `judgeable.unjudged`.

  Raises:
    UserError: a declared law cannot be understood, or matches no leaf of real
      numbers.
  """
  laws = expected.matches(
    expected.read(expect), tuple(leaf.name for leaf in audit.measured_leaves)
  )
  found = list(_of_declared(audit, laws))
  found += _of_own_law(audit, laws)
  return (*found, *symptoms.symptoms(audit))


def check(
  audit: Audit,
  expect: expected.Expected | None = None,
  fail_on: Iterable[str] = tuple(finding.KINDS),
) -> None:
  """Raises if a model's initialization has findings: for a test or a CI.

  Args:
    audit, expect: see `findings`.
    fail_on: the kinds that count.

  Raises:
    VerdictError: with a sentence for each finding.
    UserError: as of `findings` and `require_judged`; or a kind is unknown.
  """
  kinds = tuple(fail_on)
  for kind in kinds:
    base.lookup(finding.KINDS, 'kind of finding', kind)
  found = [each for each in findings(audit, expect) if each.kind in kinds]
  if found:
    raise VerdictError(found)
  require_judged(audit, kinds)


def require_judged(audit: Audit, kinds: Iterable[str]) -> None:
  """Raises if an audit has too few seeds to judge by.

  Args:
    audit: of the model.
    kinds: of findings, that count.

  Raises:
    UserError: it takes more seeds, somewhere, to find one of these kinds. What
      no seed runs is no error, since more seeds need not run it either.
  """
  counted = set(kinds)
  for each in judgeable.unjudged(audit):
    if each.finite and counted & set(each.kinds):
      raise base.UserError(
        f'{each}: audit more seeds, or let fail_on count '
        f'{", ".join(judgeable.OF_ANY_SEED)} alone'
      )


def _of_declared(audit: Audit, laws: dict[str, str]) -> Iterable[Finding]:
  fans = _fans(audit)
  for leaf in audit.leaves:
    if leaf.name in laws:
      law = expected.declared(
        laws[leaf.name], fans.get(leaf.name, expected.Fans())
      )
      yield from _compare(leaf, law, len(audit.seeds))


def _fans(audit: Audit) -> dict[str, expected.Fans]:
  """Leaf -> its fans and loop, of the first site that uses it alone."""
  found: dict[str, expected.Fans] = {}
  for site in audit.sites:
    if len(site.leaves) == 1 and site.kind != 'lookup':
      layers = site.iterations[0] if site.stacked else None
      found.setdefault(
        site.leaves[0], expected.Fans(site.n_in, site.n_out, layers)
      )
  return found


def _compare(
  leaf: places.Leaf, law: expected.Declared, seeds: int
) -> Iterable[Finding]:
  """A leaf with its declared law; one that is not finite is a symptom."""
  if np.isfinite(leaf.measured['square']).all():
    for factor, but in _departures(leaf, law, seeds):
      sentence = f'{leaf.name} is declared as {law.text}, {but}'
      yield Finding(finding.EXPECTED, leaf.name, '', factor, sentence)


def _departures(
  leaf: places.Leaf, law: expected.Declared, seeds: int
) -> Iterable[tuple[stats.Estimate, str]]:
  """The leaf's standard deviation over that of the law; and what is wrong."""
  square = leaf.measured['square']
  draws = math.prod(leaf.shape) * seeds
  rms = f'{np.mean(square) ** 0.5:.3g}'
  if law.square == 0:
    if square.any():
      but = f'but has a root mean square of {rms}: find what draws it instead.'
      yield finding.certain(math.inf, seeds), but
    return
  factor = stats.geometric_mean(np.sqrt(square / law.square))
  value = float(factor.value)
  spread = np.std(np.log(square)) / 2 if (square > 0).all() else 0.0
  error = max((2 * draws) ** -0.5, float(spread) / seeds**0.5)
  if law.mean:
    error = 0.0
  limit = max(_DECLARED, _ERRORS * error)
  if value == 0 or abs(math.log(value)) > limit:
    what = 'root mean square' if law.mean else 'standard deviation'
    yield (
      factor,
      f'a {what} of {law.square**0.5:.3g}, but has {rms}, {_times(value)}: '
      'what declares it does not reach it, or another initialization comes '
      'after.',
    )
    return
  mean, std = float(np.mean(leaf.measured['mean'])), law.square**0.5
  if abs(mean - law.mean) > max(_DECLARED, _ERRORS * draws**-0.5) * std:
    yield factor, f'but has the mean {mean:.3g}: its entries are not symmetric.'
  largest = float(np.max(leaf.measured['largest']))
  if largest > law.largest * (1 + _DECLARED):
    yield (
      factor,
      f'which is at most {law.largest:.3g}, but an entry is {largest:.3g}: it '
      'is not cut, or of another family.',
    )


def _of_own_law(audit: Audit, laws: dict[str, str]) -> Iterable[Finding]:
  rows = own_law.rows_of(audit.sites)
  law = own_law.fit(rows)
  if law is None:
    return
  found: dict[str, list[own_law.Outlier]] = {}
  for each in own_law.outliers(law, rows):
    if each.row.leaf not in laws:
      found.setdefault(each.row.leaf, []).append(each)
  sites = {site.name: site for site in audit.sites}
  for leaf, outliers in found.items():
    worst = max(outliers, key=lambda each: abs(math.log(each.factor)))
    # `[layers, S]`, of the layers that are wrong.
    squares = np.array(
      [
        _squares(sites[each.row.site], each.row.iteration)
        / law.square(each.row)
        for each in outliers
      ]
    )
    yield Finding(
      finding.OUTLIER,
      leaf,
      worst.row.site,
      stats.geometric_mean(np.exp(np.log(squares).mean(axis=0) / 2)),
      _outlier_sentence(worst, law),
    )


def _squares(site: places.Site, iteration: int) -> np.ndarray:
  """`[S]` E w^2 of a site in one iteration."""
  square = places.by_iteration(site.measured['weight_square'])
  return square[:, iteration] / site.n_in


def _outlier_sentence(outlier: own_law.Outlier, law: own_law.OwnLaw) -> str:
  row, factor = outlier.row, outlier.factor
  value = f'{law.square(row) ** 0.5:.3g}'
  words = law.words(row)
  text = (
    f'{row.leaf} is drawn {_times(factor)}: its standard deviation is '
    f"{row.square**0.5:.3g}, and the model's own law gives {value}"
  )
  text += '' if words == value else f' = {words}'
  text += f'. {law.followers} of {law.rows} weights, layer by layer, follow it'
  if outlier.siblings:
    siblings = ' and '.join(outlier.siblings)
    text += f', also {siblings}, on the same input'
  if row.role == 'output':
    return text + '. Check the depth scaling of residual outputs.'
  if row.role == 'embedding':
    return text + '. Check the standard deviation of the embedding.'
  if law.form == 'fan_in':
    return (
      f'{text}. It is drawn as if its fan-in were {row.n_in / factor**2:.3g}, '
      f'not {row.n_in}: check its gain and `in_axis`.'
    )
  if law.form != 'fixed':
    return text + '. Check its gain, its fans and `in_axis`.'
  return text + '. Check which initializer it gets.'


def _times(factor: float) -> str:
  """'3.1 times too small'."""
  if factor == 0:
    return 'which is zero'
  if factor < 1:
    return f'{1 / factor:.3g} times too small'
  return f'{factor:.3g} times too large'
