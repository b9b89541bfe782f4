"""Laws that the author of a model declares for its leaves, and their text.

    '*/c_proj/kernel': 'normal(.02 / sqrt(24))'
    '*/gamma': 'constant(1e-5)'
    '*/kernel': 'he_normal'

A law is a family of one number, or the name of a scheme of
`initializers.SCHEMES`. The number is a formula of + - * / and sqrt, of numbers
and of `n_in`, `n_out` and `L`: the leaf's fans, and the length of the loop that
its layers are stacked for.
"""

import ast
from collections.abc import Callable, Mapping
import fnmatch
import math
import operator
import os
import tomllib
from typing import NamedTuple

from initlab import base, initializers, kernels

# A pattern of leaves' names -> the text of their law; or a TOML file of that.
Expected = Mapping[str, str] | str | os.PathLike[str]


class Declared(NamedTuple):
  """A law of one leaf, in numbers.

  text: as it was declared.
  mean: of an entry.
  square: mean square of an entry, E w^2.
  largest: a bound of |w|; infinite where there is none.
  """

  text: str
  mean: float
  square: float
  largest: float = math.inf


class Fans(NamedTuple):
  """What a formula may speak of; None where the leaf does not have it."""

  n_in: int | None = None
  n_out: int | None = None
  L: int | None = None


def read(expected: Expected | None) -> dict[str, str]:
  """Pattern -> law, of a mapping or of a TOML file of `"pattern" = "law"`.

  Raises:
    UserError: the file cannot be read, or holds something else than texts.
  """
  if expected is None:
    return {}
  if isinstance(expected, Mapping):
    laws = dict(expected)
  else:
    try:
      with open(expected, 'rb') as file:
        laws = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
      raise base.UserError(
        f'cannot read the laws of {expected}: {error}'
      ) from (error)
  for pattern, law in laws.items():
    if not isinstance(law, str):
      raise base.UserError(
        f'the law of {pattern!r} is {law!r}; it has to be a text such as '
        "'normal(.02)'"
      )
  return laws


def matches(laws: Mapping[str, str], leaves: tuple[str, ...]) -> dict[str, str]:
  """Leaf -> the text of its law: that of the first pattern that it matches.

  Raises:
    UserError: a pattern matches no leaf. A check of nothing would pass.
  """
  found: dict[str, str] = {}
  for pattern, law in laws.items():
    names = [name for name in leaves if fnmatch.fnmatchcase(name, pattern)]
    if not names:
      raise base.UserError(
        f'no leaf matches {pattern!r}; there are {", ".join(leaves)}'
      )
    for name in names:
      found.setdefault(name, law)
  return found


def declared(text: str, fans: Fans) -> Declared:
  """A law's numbers, of a leaf of these fans.

  Families: `normal(std)`, `truncated_normal(std)` (of the std that results, cut
  at two standard deviations of the parent), `uniform(limit)`,
  `orthogonal(gain)`, `constant(value)` and `variance(v)` of any family; or a
  scheme's name, as `--init` takes it.

  Raises:
    UserError: the text is no law, or speaks of fans the leaf does not have.

  Examples:
    >>> declared('normal(.02 / sqrt(2 * L))', Fans(L=8)).square
    2.5e-05
    >>> law = declared('glorot_uniform', Fans(64, 32))
    >>> law.square == 2 / (64 + 32), round(law.largest, 3)
    (True, 0.25)
    >>> declared('constant(.5)', Fans())
    Declared(text='constant(.5)', mean=0.5, square=0.25, largest=0.5)
  """
  name, parenthesis, rest = text.strip().partition('(')
  family = _FAMILIES.get(name)
  if family is None:
    return _scheme(text, fans)
  if not parenthesis or not rest.endswith(')'):
    raise base.UserError(f'the law {text!r} needs one number: {name}(...)')
  mean, square, largest = family(_number(rest[:-1], text, fans), fans)
  return Declared(text, mean, square, largest)


_Numbers = tuple[float, float, float]


def _normal(std: float, fans: Fans) -> _Numbers:
  return 0.0, std**2, math.inf


def _truncated(std: float, fans: Fans) -> _Numbers:
  return 0.0, std**2, 2 * std / kernels.TRUNCATED_STD


def _uniform(limit: float, fans: Fans) -> _Numbers:
  return 0.0, limit**2 / 3, limit


def _orthogonal(gain: float, fans: Fans) -> _Numbers:
  n = max(_known(fans, 'n_in'), _known(fans, 'n_out'))
  return 0.0, gain**2 / n, math.inf


def _constant(value: float, fans: Fans) -> _Numbers:
  return value, value**2, abs(value)


def _variance(variance: float, fans: Fans) -> _Numbers:
  return 0.0, variance, math.inf


_FAMILIES: dict[str, Callable[[float, Fans], _Numbers]] = {
  'normal': _normal,
  'truncated_normal': _truncated,
  'uniform': _uniform,
  'orthogonal': _orthogonal,
  'constant': _constant,
  'variance': _variance,
}


def _scheme(text: str, fans: Fans) -> Declared:
  """Of a scheme's name; the error of an unknown one names the families, too."""
  try:
    scheme = initializers.resolve(text)
  except base.UserError as error:
    raise base.UserError(
      f'{text!r} is no law, that is a family of one number '
      f'({", ".join(_FAMILIES)}) or a scheme: {error}'
    ) from error
  law = scheme.law(_known(fans, 'n_in'), _known(fans, 'n_out'))
  std = law.variance**0.5
  largest = {
    'uniform': 3**0.5 * std,
    'truncated_normal': 2 * std / kernels.TRUNCATED_STD,
  }.get(law.family, math.inf)
  return Declared(text, 0.0, law.variance, largest)


def _known(fans: Fans, name: str) -> int:
  value = getattr(fans, name)
  if value is None:
    raise base.UserError(
      f'{name} of this leaf is not known'
      + (', as it is not stacked for a loop' if name == 'L' else '')
      + ': write a number'
    )
  return value


_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
  ast.Add: operator.add,
  ast.Sub: operator.sub,
  ast.Mult: operator.mul,
  ast.Div: operator.truediv,
}


def _number(formula: str, law: str, fans: Fans) -> float:
  """The value of a formula; nothing else than arithmetic is evaluated."""

  def value(node: ast.expr) -> float:
    match node:
      case ast.Constant(value=int() | float() as number) if not isinstance(
        number, bool
      ):
        return float(number)
      case ast.Name(id=name) if name in Fans._fields:
        return float(_known(fans, name))
      case ast.UnaryOp(op=ast.USub(), operand=operand):
        return -value(operand)
      case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
        return _OPERATORS[type(op)](value(left), value(right))
      case ast.Call(func=ast.Name(id='sqrt'), args=[argument], keywords=[]):
        return math.sqrt(value(argument))
    raise base.UserError(
      f'{formula!r} in the law {law!r} is no formula of numbers, '
      f'{", ".join(Fans._fields)}, + - * / and sqrt'
    )

  try:
    return value(ast.parse(formula.strip(), mode='eval').body)
  except SyntaxError:
    raise base.UserError(
      f'{formula!r} in the law {law!r} is no formula'
    ) from None
  except (ArithmeticError, ValueError) as error:
    raise base.UserError(f'{formula!r} in the law {law!r}: {error}') from None
