"""What a notebook calls for any function of a key, and what it gets."""

from collections.abc import Callable, Iterable
import pathlib
from typing import TYPE_CHECKING, Any

from initlab import base
from initlab.engine import study, sweep as sweeps
from initlab.lab.studies import as_on_the_command_line
from initlab.launch import progress
from initlab.report import page, summary, sweeps as sweep_reports

if TYPE_CHECKING:
  import pandas as pd


class SweepReport:
  """What a function returned for every seed.

  sweep: its `results`, the pytree that it returns, arrays `[S, ...]`, and its
    `seeds`, see `engine.sweep.Sweep`.
  """

  def __init__(self, sweep: sweeps.Sweep):
    self.sweep = sweep

  @property
  def verdict(self) -> str:
    """A sentence a number, and a vector, that the function returns."""
    return '\n'.join(sweep_reports.verdict(self.sweep))

  def to_frame(self) -> 'pd.DataFrame':
    """One row a seed and entry, see `engine.sweep.Sweep.to_frame`."""
    return self.sweep.to_frame()

  @property
  def figures(self) -> tuple[str, ...]:
    """The names that `figure` takes: of numbers and vectors."""
    return sweep_reports.drawn(self.sweep)

  def figure(self, name: str) -> Any:
    """Draws one figure, of matplotlib: a histogram, or a curve of a vector.

    Raises:
      UserError: there is no such figure.
    """
    from initlab.report.plots import over_seeds, style

    base.lookup(dict.fromkeys(self.figures), 'figure', name)
    return style.shown(over_seeds.draw(name, self.sweep.leaves[name]))

  def compare(self, other: 'SweepReport') -> 'pd.DataFrame':
    """Another sweep minus this one, paired by seed.

    Returns:
      One row a number, and an entry of a vector, that both have: the difference
      of b minus a with its 95% interval, of how many pairs of seeds, of the
      `total` seeds of the larger side, p by the permutation test and Holm's
      correction of it, and the seeds that show half the difference.

    Raises:
      UserError: the root seeds differ, or nothing is shared.
    """
    import pandas as pd

    found = pd.DataFrame(sweep_reports.differences(self.sweep, other.sweep))
    return found.astype({'axis_0': 'Int64'})

  def save(self, folder: str | pathlib.Path) -> pathlib.Path:
    """Writes the page, its figures and rows into a folder.

    Returns:
      The path of the page.
    """
    place = pathlib.Path(folder)
    facts = {
      'seeds': summary.seeds_in_words(self.sweep.seeds),
      'root seed': str(self.sweep.root_seed),
      'versions': ', '.join(f'{k} {v}' for k, v in study.environment().items()),
    }
    sweep_reports.write(self.sweep, facts, place)
    return place / 'report.html'

  def __repr__(self) -> str:
    return sweep_reports.text(self.sweep)

  def _repr_html_(self) -> str:
    from initlab.report.plots import style

    shown = {name: style.svg(self.figure(name)) for name in self.figures[:1]}
    return page.render(
      'notebook.html',
      settings=[sweep_reports.setting(self.sweep)],
      tables=sweep_reports.contents(self.sweep)[:1],
      pictures=[
        sweep_reports.picture(self.sweep, *each) for each in shown.items()
      ],
      figures=self.figures,
    )


def sweep(
  run: Callable[[base.Key], Any],
  *,
  seeds: int | Iterable[int] = 32,
  **options: Any,
) -> SweepReport:
  """Runs a function of a key once a seed, many seeds at once.

  Args:
    run: `key -> pytree of arrays`, pure, of real numbers.
    seeds: how many, or which.
    **options: of `engine.sweep.sweep`: out, name, root_seed, lanes, devices,
      worker, matmul_precision.

  Raises:
    UserError: as there.

  Examples:
    >>> import jax
    >>> report = sweep(lambda key: jax.random.normal(key, (3,)), seeds=8)
    >>> report.sweep.results.shape
    (8, 3)
  """
  with as_on_the_command_line():
    found = sweeps.sweep(run, seeds=seeds, bar=progress.bar, **options)
  return SweepReport(found)
