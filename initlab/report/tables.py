"""Text tables, rendered as HTML, plain text and LaTeX."""

from collections.abc import Callable, Sequence
import itertools
import textwrap
from typing import NamedTuple

import numpy as np

from initlab import formatting, stats


class Column(NamedTuple):
  """A column of a table; neighbours with the same group share a heading."""

  group: str
  head: str
  cells: list[str]


class Table(NamedTuple):
  """A table of text cells.

  title: one line.
  index: the row names.
  columns: all other columns.
  """

  title: str
  index: Column
  columns: list[Column]

  @property
  def groups(self) -> list[list[Column]]:
    """Adjacent columns that share a heading."""
    groups = itertools.groupby(self.columns, lambda each: each.group)
    return [list(columns) for _, columns in groups]

  @property
  def rows(self) -> list[tuple[str, ...]]:
    """The cells of each row, starting with its name."""
    columns = [self.index, *self.columns]
    return list(zip(*(each.cells for each in columns), strict=True))


def cell(estimate: stats.Estimate, unit: str = '') -> str:
  """An estimate with its interval; a dash if there is none."""
  return format(estimate, unit) if estimate.n else '-'


def with_interval(estimate: stats.Estimate, fewest: int) -> str:
  """An estimate with its interval, or the number of seeds that one takes."""
  text = cell(estimate)
  needs = estimate.n > 0 and np.isnan(estimate.low)
  return f'{text} (needs {fewest} seeds)' if needs else text


def extreme(of: Callable[[np.ndarray], float], values: np.ndarray) -> str:
  """The least or largest finite one of `[S]`; a dash if there is none."""
  finite = values[np.isfinite(values)]
  return formatting.number(of(finite)) if finite.size else '-'


def grid(table: Table, width: int) -> str:
  """The table as text, split between groups to fit the width."""
  index = _block([table.index], str.ljust)
  pieces = [index]
  for group in table.groups:
    block = _block(group, str.rjust)
    if len(pieces[-1][-1]) + 3 + len(block[-1]) > width:
      pieces.append(index)
    pieces[-1] = _beside(pieces[-1], block)
  return '\n\n'.join(
    '\n'.join(line.rstrip() for line in piece).lstrip('\n') for piece in pieces
  )


def _block(
  columns: Sequence[Column], align: Callable[[str, int], str]
) -> list[str]:
  """Lines of equal length: the group's name, a rule, the heads, the cells."""
  padded = []
  for column in columns:
    cells = [column.head, *column.cells]
    size = max(map(len, cells))
    padded.append([align(cell, size) for cell in cells])
  rows = ['  '.join(cells) for cells in zip(*padded, strict=True)]
  size = max(map(len, [rows[0], *columns[0].group.split()]))
  name = textwrap.wrap(columns[0].group, size) or ['']
  side = align if len(columns) == 1 else str.ljust
  return [
    *(side(line, size) for line in name),
    '-' * size,
    *(row.rjust(size) for row in rows),
  ]


def _beside(left: list[str], right: list[str]) -> list[str]:
  """Two blocks side by side, aligned at the bottom."""
  height = max(len(left), len(right))
  level = [
    [' ' * len(block[-1])] * (height - len(block)) + block
    for block in (left, right)
  ]
  return ['   '.join(pair) for pair in zip(*level, strict=True)]


def columns(
  cells: dict[tuple[str, str], Callable[..., str]], rows: Sequence
) -> list[Column]:
  """The columns of rows.

  Args:
    cells: group and head of a column -> the function of a row that is its cell.
    rows: what a row is about, one each.
  """
  return [
    Column(*heading, [cell(each) for each in rows])
    for heading, cell in cells.items()
  ]


def latex(table: Table) -> str:
  """The table as a LaTeX tabular, without packages.

  Examples:
    >>> print(latex(Table('Error', Column('', 'init', ['a_b']),
    ...   [Column('error', 'mean', ['3% [2%, 4%]'])])))
    % Error
    \\begin{tabular}{lr}
    \\hline
    init & error, mean \\\\
    \\hline
    a\\_b & 3\\% [2\\%, 4\\%] \\\\
    \\hline
    \\end{tabular}
  """
  columns = [table.index, *table.columns]
  heads = [', '.join(filter(None, (c.group, c.head))) for c in columns]
  lines = [
    ' & '.join(map(_escaped, row)) + r' \\' for row in (heads, *table.rows)
  ]
  return '\n'.join(
    [
      f'% {table.title}',
      rf'\begin{{tabular}}{{l{"r" * len(table.columns)}}}',
      r'\hline',
      lines[0],
      r'\hline',
      *lines[1:],
      r'\hline',
      r'\end{tabular}',
    ]
  )


def _escaped(text: str) -> str:
  for character in '\\&%$#_{}':
    if character == '\\':
      text = text.replace(character, '/')
    else:
      text = text.replace(character, '\\' + character)
  return text
