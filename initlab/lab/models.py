"""What a notebook calls for a model of its own, and what it gets."""

from collections.abc import Callable, Iterable, Sequence
import pathlib
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from initlab import base, stats
from initlab.models import (
  audit as audits,
  calibrate as calibrations,
  coordinates as coordinate_checks,
  expected,
  model as models,
  parametrization,
  redraw as redraws,
  uses,
  verdict as verdicts,
)
from initlab.models.finding import KINDS, Finding
from initlab.report import (
  audits as audit_reports,
  comparison,
  coordinates as coordinate_reports,
  page,
  summary,
)

if TYPE_CHECKING:
  import pandas as pd


class AuditReport:
  """The audit of a model, with its verdict.

  audit: what was measured, see `models.audit.Audit`.
  findings: what is wrong, see `models.verdict`.
  """

  def __init__(
    self,
    audit: audits.Audit,
    findings: Sequence[Finding],
    init: Callable[[base.Key], Any],
    model: Callable[..., Any],
  ):
    self.audit = audit
    self.findings = tuple(findings)
    self._init = init
    self._model = model

  @property
  def verdict(self) -> str:
    """A sentence a finding, and what the audit did not look into."""
    return '\n'.join(audit_reports.verdict(self.audit, self.findings))

  def to_frame(self) -> 'pd.DataFrame':
    """One row a seed, place, iteration and measure."""
    return self.audit.to_frame()

  def check(
    self,
    expect: expected.Expected | None = None,
    fail_on: Iterable[str] = tuple(KINDS),
  ) -> None:
    """Raises if something is wrong: for a test or a CI.

    Args:
      expect: declared laws, pattern of leaves -> law, as in
        `{'*/out/kernel': 'normal(.02 / sqrt(2 * L))'}`, or a TOML file of them.
      fail_on: the kinds of findings that count.

    Raises:
      VerdictError: with leaf and factor of each finding.
      UserError: a law or a kind is not understood, or there are too few seeds
        to judge by.
    """
    verdicts.check(self.audit, expect, fail_on)

  def redraw(
    self, key: base.Key, scheme: Any, select: str = ''
  ) -> redraws.Redrawn:
    """Draws the model, and then its kernels, or selected leaves, by a scheme.

    Which axes of a leaf are fan-in and fan-out follows from the model.

    Args:
      key: of the draw; it is consumed.
      scheme: a scheme of the lab by name, as 'he_normal', or an initializer.
      select: a pattern of leaves, as '*/kernel'; '' for all kernels.

    Returns:
      The params, the leaves that were drawn, and those that were left, each
      with the reason.
    """
    found, params = uses.of(self.audit), self._init(key)
    if select:
      return redraws.redraw(found, params, key, choice={select: scheme})
    return redraws.redraw(found, params, key, scheme)

  def calibrate(
    self, params: Any, batch: Any, method: str = 'lsuv'
  ) -> redraws.Redrawn:
    """Rescales the model's kernels by what a batch does in them.

    Args:
      params: of the model, such as those of a `redraw`.
      batch: of the model, as `audit` takes it.
      method: 'lsuv' (each kernel's outputs have standard deviation 1),
        'unit_variance' (each unit's, with mean 0 where it has a bias),
        'between_layers' (all kernels change at the same relative rate) or
        'equal_rates' (both); with knobs, as 'equal_rates:steps=20', see
        `models.calibrate`.

    Returns:
      The params, the leaves that were rescaled, and those that were left, each
      with the reason.

    Raises:
      UserError: there is no such method, or no kernel can be calibrated.
    """
    batch = models.batch_of(batch)
    with jax.default_matmul_precision('highest'):
      model = uses.trace(self._model, params, *batch)
      return calibrations.calibrate(model, params, *batch, method=method)

  @property
  def figures(self) -> tuple[str, ...]:
    """The names that `figure` takes."""
    from initlab.report.plots import audits as plots

    return plots.names(self.audit)

  def figure(self, name: str = 'forward') -> Any:
    """Draws one figure, of matplotlib.

    Raises:
      UserError: there is no such figure.
    """
    from initlab.report.plots import audits as plots, style

    base.lookup(dict.fromkeys(self.figures), 'figure', name)
    return style.shown(plots.draw(self.audit, name))

  def compare(self, other: 'AuditReport') -> 'pd.DataFrame':
    """The other model's measures over this one's, paired by seed.

    Returns:
      One row a place of the same name, iteration and measure without negative
      values: `ratio`, the geometric mean of the ratio, with the ends of its 95%
      interval, `low` and `high`; `pairs`, the seeds that both have and whose
      ratio is positive and finite (if all ratios are zero, these); and `total`,
      the seeds of the audit that has more.

    Raises:
      UserError: the root seeds differ, or no seed is shared.
    """
    import pandas as pd

    ours, theirs = self.audit, other.audit
    comparison.check_root_seeds('audits', ours.root_seed, theirs.root_seed)
    if not np.intersect1d(ours.seeds, theirs.seeds).size:
      raise base.UserError('the audits share no seed')
    total = max(len(ours.seeds), len(theirs.seeds))
    keys = ['kind', 'name', 'measure', 'iteration']
    both = self.to_frame().merge(other.to_frame(), on=[*keys, 'seed'])
    rows = []
    for place, group in both.groupby(keys, sort=False):
      one, two = group['value_x'].to_numpy(), group['value_y'].to_numpy()
      if (one < 0).any() or (two < 0).any():
        continue
      ratio = stats.paired_ratio(two, one)
      if ratio.n:
        ends = map(float, (ratio.value, ratio.low, ratio.high))
        rows.append((*place, *ends, int(ratio.n), total))
    columns = [*keys, 'ratio', 'low', 'high', 'pairs', 'total']
    return pd.DataFrame(rows, columns=columns)

  def save(self, folder: str | pathlib.Path) -> pathlib.Path:
    """Writes the page, its figures, rows and JSON into a folder.

    Returns:
      The path of the page.
    """
    place = pathlib.Path(folder)
    facts = audit_reports.seeds(self.audit)
    audit_reports.write('model', self.audit, self.findings, facts, place)
    return place / 'report.html'

  def __repr__(self) -> str:
    return audit_reports.text(self.audit, self.findings, {}, 80)

  def _repr_html_(self) -> str:
    from initlab.report.plots import style

    return page.render(
      'notebook.html',
      settings=[
        {
          'label': f'{len(self.audit.sites)} sites',
          'seeds': summary.seeds_in_words(self.audit.seeds),
          'verdict': audit_reports.verdict(self.audit, self.findings),
          'remarks': [],
        }
      ],
      tables=audit_reports.contents(self.audit)[:1],
      pictures=[
        audit_reports.picture(name, style.svg(self.figure(name)))
        for name in self.figures[:1]
      ],
      figures=self.figures,
    )


def audit(
  init: Callable[[base.Key], Any],
  model: Callable[..., Any],
  batch: Any,
  *,
  seeds: int | Iterable[int] = 32,
  root_seed: int = 0,
  lanes: int = 1,
  expect: expected.Expected | None = None,
) -> AuditReport:
  """Audits any JAX model at its initialization, over seeds.

  Args:
    init: `key -> params`, any pytree of arrays.
    model: `(params, *batch) -> output or loss`; of Flax, Equinox and Haiku, see
      `models.adapters`.
    batch: the tuple of the other arguments; what is not a tuple is the only
      one. A function `(key, size) -> batch` draws 16 examples.
    seeds: how many initializations are measured, or which.
    root_seed: the integer that all keys come from.
    lanes: how many seeds are measured at once.
    expect: declared laws, see `AuditReport.check`.

  Raises:
    UserError: what is given cannot be audited; the sentence says why.
  """
  with jax.default_matmul_precision('highest'):
    found = audits.audit(
      init, model, batch, seeds=seeds, root_seed=root_seed, lanes=lanes
    )
  return AuditReport(found, verdicts.findings(found, expect), init, model)


class CoordinateReport:
  """A coordinate check, see `models.coordinates`.

  coordinates: what was measured.
  """

  def __init__(self, coordinates: coordinate_checks.Coordinates):
    self.coordinates = coordinates

  @property
  def verdict(self) -> str:
    """The slopes of every site, and those that are out of tolerance."""
    return str(self.coordinates)

  def to_frame(self) -> 'pd.DataFrame':
    """One row a site, width, seed and step."""
    return self.coordinates.to_frame()

  figures = ('coordinates',)

  def figure(self, name: str = 'coordinates') -> Any:
    """Draws sizes and their changes against width, of matplotlib.

    Raises:
      UserError: there is no such figure.
    """
    from initlab.report.plots import audits as plots, style

    base.lookup(dict.fromkeys(self.figures), 'figure', name)
    return style.shown(plots.coordinates(self.coordinates))

  def compare(self, other: 'CoordinateReport') -> 'pd.DataFrame':
    """The slopes of another check minus these, paired by seed.

    Returns:
      One row a site of the same name and measure, see
      `report.coordinates.differences`.

    Raises:
      UserError: the root seeds differ, or no seed or no site is shared.
    """
    import pandas as pd

    return pd.DataFrame(
      coordinate_reports.differences(self.coordinates, other.coordinates)
    )

  def save(self, folder: str | pathlib.Path) -> pathlib.Path:
    """Writes the page, its figure and rows into a folder.

    Returns:
      The path of the page.
    """
    found, place = self.coordinates, pathlib.Path(folder)
    facts = audit_reports.seeds(found)
    facts['widths'] = ', '.join(map(str, found.widths))
    coordinate_reports.write(found, facts, place)
    return place / 'report.html'

  def __repr__(self) -> str:
    return self.verdict

  def _repr_html_(self) -> str:
    from initlab.report.plots import style

    return page.render(
      'notebook.html',
      settings=[
        {
          'label': 'coordinate check',
          'seeds': summary.seeds_in_words(self.coordinates.seeds),
          'verdict': self.verdict.split('\n')[
            1 + len(self.coordinates.sites) :
          ],
          'remarks': [],
        }
      ],
      tables=[coordinate_reports.table(self.coordinates)],
      pictures=[coordinate_reports.picture(style.svg(self.figure()))],
      figures=self.figures,
    )


def coordinate_check(
  make: parametrization.Make,
  widths: Sequence[int] = (64, 128, 256, 512),
  **options: Any,
) -> CoordinateReport:
  """Trains a model of several widths for a few steps, and compares sizes.

  Args:
    make: `width -> (init, loss, batch)`.
    widths: two or more.
    **options: of `models.coordinates.coordinate_check`: optimizer, rules,
      steps, seeds, root_seed, tolerance.

  Raises:
    UserError: as there.
  """
  with jax.default_matmul_precision('highest'):
    return CoordinateReport(
      coordinate_checks.coordinate_check(make, widths, **options)
    )
