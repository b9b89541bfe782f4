"""The map of schemes as the first chapter of the atlas, with its ranks."""

from collections.abc import Mapping, Sequence

from initlab.experiment import Chapter, Outcome
from initlab.report.tables import Table

from . import ranks, schemes

CHAPTER = Chapter(
  schemes.EXPERIMENT,
  'The map: which initialization for which network',
  (
    '--init=lecun_uniform,lecun_normal,orthogonal',
    '--activation=tanh,relu,selu',
  ),
  full=(
    '--widths=256',
    f'--init={schemes.EXPERIMENT.defaults["init"]}',
    f'--activation={schemes.EXPERIMENT.defaults["activation"]}',
  ),
  text='Rectifiers need twice the variance that keeps the signal of tanh '
  'units; orthogonal weights let deep tanh networks learn; SELU networks keep '
  'the variance of the signal by themselves.',
)


def tables(run: Mapping[str, Sequence[Outcome]]) -> list[Table]:
  """The ranks of the map, if it could be run.

  Args:
    run: title of a chapter -> its outcomes.
  """
  return ranks.tables_of(run[CHAPTER.title]) if CHAPTER.title in run else []
