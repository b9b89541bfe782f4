"""The law that a model's author follows, found from its weights.

A model's kernels mostly follow one law: a standard deviation of 0.02 for all of
them, or a variance of c / n_in. Which one is told by their *rows*, one for each
kernel and layer. Weights have roles, and recipes treat roles apart: the outputs
of residual branches are scaled by depth, readouts are small or zero, embeddings
have no fan. So a role that recipes scale has a constant of its own, and what
does not follow the model's law is an exception only if no recipe explains it.
"""

from collections.abc import Sequence
import math
import re
from typing import NamedTuple

import numpy as np

from initlab.models import places

# Two rows have one constant if their standard deviations differ by no more than
# this. Sampling makes far less of it: a kernel of 1000 entries over 8 seeds has
# a relative standard error of 1 / sqrt(2 * 8000) = 0.8%.
SAME = 1.1

# An exception differs from its law by more than this in standard deviation. The
# gains that the field recommends for one fan-in range from 3/4 (SELU) over 1
# (linear) and sqrt(2) (ReLU) to 5/3 (tanh): those that one network would mix
# are within a factor of 2.
FAR = 2.0

# n_in Var w that some recipe gives to a kernel: from 1/3, PyTorch's default, to
# the square of 5/3, Glorot's gain for tanh.
LEAST_GAIN, LARGEST_GAIN = 1 / 3, (5 / 3) ** 2

# Constants of the laws of fans that recipes give: PyTorch's default, LeCun's
# and Glorot's, He's, and Glorot's with the gain for tanh.
RECIPES = (LEAST_GAIN, 1.0, 2.0, LARGEST_GAIN)

# Law -> what the variance is inversely proportional to. In this order, where
# several explain as much.
FORMS = {
  'fan_in': lambda row: row.n_in,
  'fixed': lambda row: 1,
  'fan_avg': lambda row: (row.n_in + row.n_out) / 2,
  'fan_out': lambda row: row.n_out,
}


class Row(NamedTuple):
  """The weights of one site in one layer.

  leaf: name.
  site: name.
  role: 'input' (reads the batch), 'hidden', 'inner' (inside a residual
    branch), 'output' (the last of a branch), 'readout' (nothing reads it, or a
    softmax does, as a router's) or 'embedding'.
  n_in, n_out: fans.
  depth: 1, 2, ..., of the layer, by its loop or by the number in its path.
  square: E w^2, the mean over seeds.
  reads: number of the array it reads.
  branches: names of the residual adds whose branch it is inside of, or ends.
  iteration: of the site's loops, counted over all of them.
  """

  leaf: str
  site: str
  role: str
  n_in: int
  n_out: int
  depth: int
  square: float
  reads: int
  branches: frozenset[str] = frozenset()
  iteration: int = 0

  @property
  def gain(self) -> float:
    """n_in E w^2."""
    return self.n_in * self.square


class OwnLaw(NamedTuple):
  """The law that a model's weights follow.

  form: a key of `FORMS`.
  constant: of it, Var w times what it is inversely proportional to.
  inner, output: the constants of branches and of their outputs; `constant`
    where nothing tells otherwise.
  by_depth: whether the variance of outputs is also divided by the layer.
  followers: how many rows follow it.
  rows: of how many.
  spread: of their standard deviations about it, relative, to the percent.
  """

  form: str
  constant: float
  inner: float
  output: float
  by_depth: bool
  followers: int
  rows: int
  spread: float

  @property
  def recognized(self) -> bool:
    """Whether it is a law that recipes give, not just what is frequent."""
    return self.form == 'fixed' or _recipe(self.inner)

  def square(self, row: Row) -> float:
    """E w^2 that it gives to a row."""
    by_role = {'inner': self.inner, 'output': self.output}
    value = by_role.get(row.role, self.constant) / FORMS[self.form](row)
    return (
      value / row.depth if self.by_depth and row.role == 'output' else value
    )

  def words(self, row: Row) -> str:
    """'0.02' or '1 / sqrt(n_in)': the standard deviation it gives."""
    by_role = {'inner': self.inner, 'output': self.output}
    std = by_role.get(row.role, self.constant) ** 0.5
    fan = {'fan_in': 'n_in', 'fan_out': 'n_out'}.get(
      self.form, '(n_in + n_out) / 2'
    )
    text = f'{std:.3g}'
    if self.form != 'fixed':
      text += f' / sqrt({fan})'
    if self.by_depth and row.role == 'output':
      text += ' / sqrt(layer)'
    return text


class Outlier(NamedTuple):
  """A row that the model's law does not explain, nor a recipe.

  row: which.
  factor: its standard deviation over the law's.
  siblings: leaves that read the same input and follow the law.
  """

  row: Row
  factor: float
  siblings: tuple[str, ...]


def rows_of(sites: Sequence[places.Site]) -> tuple[Row, ...]:
  """A row for each kernel and layer.

  Scales (n_in = 1), products and weights that are not finite have none.
  """
  role_of, branch_of = roles(sites), _branches(sites)
  found: list[Row] = []
  taken: set[str] = set()
  for site in sites:
    if site.name not in role_of or len(site.leaves) != 1:
      continue
    (name,) = site.leaves
    if name in taken and not site.part:
      continue
    taken.add(name)
    # NaN where a seed does not take the branch of a `cond` that it is in.
    measured = places.by_iteration(site.measured['weight_square'])
    squares = np.ma.masked_invalid(measured)
    square = squares.mean(axis=0) / site.n_in
    layers = square if site.stacked else [square.mean()]
    first = _layer(name)
    for iteration, value in enumerate(layers):
      if value is np.ma.masked:
        continue
      found.append(
        Row(
          name,
          site.name,
          role_of[site.name],
          site.n_in,
          site.n_out,
          first + iteration,
          float(value),
          site.reads,
          frozenset(branch_of.get(site.name, ())),
          iteration,
        )
      )
  return tuple(found)


def _layer(name: str) -> int:
  """1 for 'layers/0/kernel' or 'layer_0', 1 where the path has no number."""
  number = re.search(r'(?:^|[/_.])(\d+)', name)
  return int(number[1]) + 1 if number else 1


def _branches(sites: Sequence[places.Site]) -> dict[str, set[str]]:
  """Site -> names of the residual adds whose branch it is inside of, or ends.

  A branch is followed back to where another one ends. What is before the first
  of them, as a stem, is counted as inside.
  """
  before = {site.name: site.after for site in sites}
  ends = {site.name: site.residual for site in sites if site.residual}
  found: dict[str, set[str]] = {end: {add} for end, add in ends.items()}
  for end, add in ends.items():
    ahead = list(before[end])
    while ahead:
      name = ahead.pop()
      branches = found.setdefault(name, set())
      if name not in ends and name in before and add not in branches:
        branches.add(add)
        ahead += before[name]
  return found


def roles(sites: Sequence[places.Site]) -> dict[str, str]:
  """Site -> role, of those that have one."""
  branches = _branches(sites)
  read = {name for site in sites for name in site.after}
  found = {}
  for site in sites:
    if site.kind == 'lookup':
      found[site.name] = 'embedding'
    elif site.kind == 'product' or site.n_in < 2:
      continue
    elif site.residual:
      found[site.name] = 'output'
    elif site.logits:
      found[site.name] = 'readout'
    elif not site.after:
      found[site.name] = 'input'
    elif branches.get(site.name):
      found[site.name] = 'inner'
    else:
      found[site.name] = 'hidden' if site.name in read else 'readout'
  return found


def fit(rows: Sequence[Row]) -> OwnLaw | None:
  """The law that most rows follow; None where no two rows share one.

  A law is preferred to a more frequent one if recipes give its constant: in a
  model whose mistake is in most of its layers, the majority is wrong. Each
  constant that a law needs counts against it like a row that does not follow.
  That the standard deviation is fixed has to be seen in two different fans:
  where all fans are equal, nothing distinguishes it from 1 / n_in. Of laws that
  are as good, the one that is followed more closely.
  """
  rows = [row for row in rows if row.square > 0]
  laws = [law for form in FORMS if (law := _fit_form(form, rows))]
  if not laws:
    return None
  return max(laws, key=_goodness)


def _goodness(law: OwnLaw) -> tuple[bool, int, float]:
  constants: list[float] = []
  for value in (law.constant, law.inner, law.output):
    if not any(_same(value, other) for other in constants):
      constants.append(value)
  return law.recognized, law.followers - len(constants), -law.spread


def _fit_form(form: str, rows: Sequence[Row]) -> OwnLaw | None:
  fan, fixed = FORMS[form], form == 'fixed'

  def values(role: str) -> list[float]:
    return [row.square * fan(row) for row in rows if row.role == role]

  roles = ['input', 'hidden', 'readout', *(['embedding'] if fixed else [])]
  main = [value for role in roles for value in values(role)]
  inner = _constant(values('inner'), fixed)
  constant = _constant(main, fixed)
  inner = inner or constant or _constant(values('output'), fixed)
  if inner is None:
    return None
  if fixed or constant is None or any(_same(value, inner) for value in main):
    constant = inner
  outputs = [row for row in rows if row.role == 'output']
  output, by_depth, known = _outputs(outputs, form, inner)
  law = OwnLaw(form, constant, inner, output, by_depth, 0, 0, 0.0)
  judged = [row for row in rows if row.role in (*roles, 'inner', 'output')]
  followers = [
    row
    for row in judged
    if _same(row.square, law.square(row)) and (known or row.role != 'output')
  ]
  if len(followers) < 2 or (fixed and len({r.n_in for r in followers}) < 2):
    return None
  logs = [math.log(row.square / law.square(row)) / 2 for row in followers]
  return law._replace(
    followers=len(followers),
    rows=len(judged),
    spread=round(float(np.std(logs)), 2),
  )


def _constant(values: Sequence[float], fixed: bool) -> float | None:
  """The most frequent value, of those that recipes give if two or more do."""
  if not values:
    return None
  recipes = [value for value in values if _recipe(value)]
  if len(recipes) >= 2 and not fixed:
    values = recipes
  counts = [sum(_same(value, other) for other in values) for value in values]
  center = values[int(np.argmax(counts))]
  return math.exp(np.mean([math.log(v) for v in values if _same(v, center)]))


def _outputs(
  rows: Sequence[Row], form: str, inner: float
) -> tuple[float, bool, bool]:
  """Of the outputs of branches: constant, by depth?, does a recipe give it?

  For n residual adds recipes give the branch's own constant, unscaled, or
  divided by n (GPT-2), by n / 2 or by the layer. Of several of these the most
  frequent counts, then the least.
  """
  if not rows:
    return inner, False, True
  n = len(rows)

  def known(value: float) -> bool:
    return any(_same(value, inner / scale) for scale in (1, n, n / 2))

  plain = sorted(row.square * FORMS[form](row) for row in rows)
  deep = [row.square * FORMS[form](row) * row.depth for row in rows]
  recipes = [value for value in plain if known(value)]
  constant = _constant(recipes or plain, True) or inner
  by_depth = _constant(deep, True) or inner
  count = sum(_same(value, constant) for value in plain)
  if sum(_same(value, by_depth) for value in deep) > max(count, n / 2):
    return by_depth, True, True
  return constant, False, bool(recipes)


def outliers(law: OwnLaw, rows: Sequence[Row]) -> tuple[Outlier, ...]:
  """Rows that neither the law nor a recipe explains."""
  found = []
  alike = _scaled_alike(law, rows)
  for row in rows:
    if row.square == 0 or row in alike:
      continue
    factor = (row.square / law.square(row)) ** 0.5
    if max(factor, 1 / factor) <= FAR:
      continue
    siblings = [
      other
      for other in rows
      if other.reads == row.reads
      and other.leaf != row.leaf
      and other.depth == row.depth
      and (other.n_in, other.n_out) == (row.n_in, row.n_out)
    ]
    following = [
      other.leaf for other in siblings if _same(other.square, law.square(other))
    ]
    apart = following and 2 * len(following) >= len(siblings) + 1
    if apart or not _explained(row, factor, law):
      found.append(Outlier(row, factor, tuple(sorted(following))))
  return tuple(found)


def _scaled_alike(law: OwnLaw, rows: Sequence[Row]) -> list[Row]:
  """Rows inside of branches that are scaled as the outputs of all branches are.

  The recipes of DeepNorm (Wang et al. 2022) and T-Fixup (Huang et al. 2020)
  scale values and feed-forward weights together with the outputs, so that each
  branch has such a row. Where one has none, the others have it by mistake.
  """
  scaled = law._replace(inner=law.output, constant=law.output, by_depth=False)
  alike = [
    row
    for row in rows
    if row.role in ('inner', 'input')
    and row.branches
    and row.square > 0
    and _same(row.square, scaled.square(row))
  ]
  ends = frozenset().union(*(r.branches for r in rows if r.role == 'output'))
  return (
    alike if ends <= frozenset().union(*(r.branches for r in alike)) else []
  )


def _explained(row: Row, factor: float, law: OwnLaw) -> bool:
  """Whether a recipe gives a row of this role what the model's law does not.

  An embedding has no fan to be compared by. The recipes know 1, 1 / sqrt(d),
  the kernels' fixed value and what is smaller. A kernel is explained by a gain
  that recipes give, unless it has siblings, weights of the same fans that read
  the same input, and half of them follow the law: no recipe sets them apart. A
  readout is also explained by less, down to zero. Outputs of branches are
  compared with each other: the stream adds them up.
  """
  if row.role == 'embedding':
    return (
      law.form != 'fixed'
      or factor < 1
      or any(_same(row.square, value) for value in (1.0, 1 / row.n_out))
    )
  if row.role == 'output':
    return False
  if row.role in ('input', 'readout') and not law.recognized:
    return True
  if row.role == 'readout' and factor < 1:
    return True
  return _recommended(row.gain)


def _recipe(constant: float) -> bool:
  return any(_same(constant, value) for value in RECIPES)


def _recommended(gain: float) -> bool:
  slack = SAME**2
  return LEAST_GAIN / slack <= gain <= LARGEST_GAIN * slack


def _same(square: float, other: float) -> bool:
  """Whether two mean squares are of one law, but for sampling."""
  return 1 / SAME**2 <= square / other <= SAME**2
