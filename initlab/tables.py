"""Tables of text, so that page, terminal and paper say the same."""

from collections.abc import Callable, Sequence
import decimal
import fractions
import itertools
import math
import textwrap
from typing import NamedTuple

import numpy as np

from initlab import stats


class Column(NamedTuple):
  """A column of a table; neighbours with the same group share a heading."""

  group: str
  head: str
  cells: list[str]


class Table(NamedTuple):
  """Cells as text, so that page and terminal say the same.

  title: one line.
  index: what names the rows.
  columns: the rest.
  """

  title: str
  index: Column
  columns: list[Column]


_SCALES = {'': 1, '%': 100}
_SIGNIFICANT = 4  # digits of a number without an interval
_MOST = 6  # digits of one with an interval, which float32 has


def number(value: float, unit: str = '') -> str:
  """A number without an interval, to four digits; a dash for none.

  Args:
    value: any.
    unit: '%' for a share that is printed as a percentage.

  Examples:
    >>> number(0.0734124), number(0.0734124, '%'), number(np.nan)
    ('0.07341', '7.341%', '-')
  """
  if not np.isfinite(value):
    return '-' if np.isnan(value) else f'{value}'
  return f'{value * _SCALES[unit]:.{_SIGNIFICANT}g}{unit}'


def cell(estimate: stats.Estimate, *place: int, unit: str = '') -> str:
  """A value of it with the ends of its interval; a dash for none.

  The digits follow the interval: its width is printed to two digits, but no end
  to more than six. The low end is rounded down and the high end up, so that the
  printed interval holds the computed one, by less than one unit of the last
  digit more at each end; the value is rounded to the same digit.

  Args:
    estimate: of any shape.
    place: of the value.
    unit: '%' for shares that are printed as percentages.

  Examples:
    >>> cell(stats.Estimate(0.07341, 0.07328, 0.07353, 32, 32))
    '0.07341 [0.07328, 0.07353]'
    >>> cell(stats.mean(np.array([[7.3e-6], [7.4e-6]] * 4)), 0)
    '7.350e-06 [7.305e-06, 7.395e-06]'
    >>> cell(stats.mean(np.array([0.07341])), unit='%')
    '7.341%'
  """
  value, low, high = (float(np.asarray(part)[place]) for part in estimate[:3])
  if not np.isfinite(value) or np.isnan(low) or np.isnan(high):
    return number(value, unit)
  # Of the shortest decimals that are these floats: 0.07 is 7%, not more.
  exact = [
    fractions.Fraction(repr(each)) * _SCALES[unit]
    if np.isfinite(each)
    else None
    for each in (value, low, high)
  ]
  size, last = _digits([each for each in exact if each is not None])
  step = fractions.Fraction(10) ** last
  texts = [
    number(end, unit)
    if each is None
    else _written(rounded(each / step), last, size) + unit
    for end, each, rounded in zip(
      (value, low, high), exact, (round, math.floor, math.ceil), strict=True
    )
  ]
  return f'{texts[0]} [{texts[1]}, {texts[2]}]'


def _digits(numbers: Sequence[fractions.Fraction]) -> tuple[int, int]:
  """Powers of ten of the largest number's first digit and of the last printed.

  The last is the second digit of the width, but none behind the sixth of the
  largest number; the fourth where there is no width. Without an exponent, all
  digits before the point are printed.
  """
  if not any(numbers):
    return 0, 0
  size = _power(max(map(abs, numbers)))
  width = max(numbers) - min(numbers)
  last = _power(width) - 1 if width else size + 1 - _SIGNIFICANT
  last = max(last, size + 1 - _MOST)
  return size, min(last, 0) if -4 < size < 5 else last


def _power(number: fractions.Fraction) -> int:
  """Of ten, of the first digit; 0 for 0."""
  if not number:
    return 0
  power = math.floor(math.log10(number))
  # The logarithm is rounded: near a power of ten it may be on its other side.
  power += (number >= fractions.Fraction(10) ** (power + 1)) - (
    number < fractions.Fraction(10) ** power
  )
  return power


def _written(count: int, last: int, size: int) -> str:
  """So many steps of 10^last; in the notation of numbers of that size."""
  if -4 < size < 5:
    return f'{decimal.Decimal(count).scaleb(last):f}'
  return f'{decimal.Decimal(count).scaleb(last - size):f}e{size:+03d}'


def p_value(p: float) -> str:
  """To two digits; a dash where there is none."""
  return f'{p:.2g}' if np.isfinite(p) else '-'


def grid(table: Table, width: int) -> str:
  """The table as text, cut between groups into pieces that fit the width."""
  index = _block([table.index], str.ljust)
  pieces = [index]
  for _, group in itertools.groupby(table.columns, lambda each: each.group):
    block = _block(list(group), str.rjust)
    if len(pieces[-1][-1]) + 3 + len(block[-1]) > width:
      pieces.append(index)
    pieces[-1] = _beside(pieces[-1], block)
  return '\n\n'.join(
    '\n'.join(line.rstrip() for line in piece) for piece in pieces
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
  """Two blocks side by side, their last lines level."""
  height = max(len(left), len(right))
  level = [
    [' ' * len(block[-1])] * (height - len(block)) + block
    for block in (left, right)
  ]
  return ['   '.join(pair) for pair in zip(*level, strict=True)]


def latex(table: Table) -> str:
  """The table as a LaTeX tabular that needs no package.

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
  rows = [heads, *zip(*(column.cells for column in columns), strict=True)]
  lines = [' & '.join(map(_escaped, row)) + r' \\' for row in rows]
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
