"""Functions by name: the syntax of flags such as `--init`.

    normal:std=0.05               a name of the lab, with one knob set
    trunc:std=1:cut=2             several knobs, separated by colons
    mylab.inits.spread:gain=1.2   a dotted path, which is imported

Dotted paths follow Python's import rules: `python -m` and the command `initlab`
search the current folder first, `python my/exp.py` that of the script.
Functions of the running script itself have its name: `exp.spread`.
"""

from collections.abc import Callable, Mapping
import difflib
import importlib
import inspect
import math
import pathlib
import re
import sys
import types
from typing import Any

from initlab import base

# A function, or its name with knobs.
Named = str | Callable[..., Any]


def split(text: str) -> tuple[str, dict[str, str]]:
  """Splits a text into the name and the texts of the knobs.

  Raises:
    UserError: a part is not `knob=value`, or a knob is set twice.

  Examples:
    >>> split('normal:std=0.05')
    ('normal', {'std': '0.05'})
  """
  name, *parts = text.split(':')
  given: dict[str, str] = {}
  for part in parts:
    knob, equals, value = part.partition('=')
    if not (knob and equals and value):
      raise base.UserError(
        f'{part!r} in {text!r} is not a knob and its value, as in '
        'normal:std=0.05'
      )
    if knob in given:
      raise base.UserError(f'{text!r} sets {knob} twice')
    given[knob] = value
  return name, given


def joined(name: str, knobs: Mapping[str, Any]) -> str:
  """The inverse of `split`.

  Examples:
    >>> joined('sparse', {'nonzeros': 10, 'std': 1.0})
    'sparse:nonzeros=10:std=1.0'
  """
  return ':'.join([name, *(f'{knob}={knobs[knob]}' for knob in knobs)])


def values(
  name: str, given: Mapping[str, str], known: Mapping[str, Any]
) -> dict[str, Any]:
  """Parses the texts of knobs, in the order of `known`.

  Args:
    name: of the function, for messages.
    given: knob -> text.
    known: knob -> its default; if that is a float, integers are converted.

  Raises:
    UserError: a knob is unknown, or a number is not finite.

  Examples:
    >>> values('sparse', {'std': '2', 'nonzeros': '10'},
    ...        {'nonzeros': 15, 'std': 1.0})
    {'nonzeros': 10, 'std': 2.0}
  """
  for knob in given:
    if knob not in known:
      near = difflib.get_close_matches(knob, known, n=1)
      hint = f', did you mean {near[0]!r}?' if near else '.'
      what = ', '.join(known) or 'none'
      raise base.UserError(f'{name} has no knob {knob!r}{hint} It has: {what}')
  return {
    knob: _value(knob, given[knob], known[knob])
    for knob in known
    if knob in given
  }


_WORDS = {'True': True, 'False': False, 'None': None}


def _value(knob: str, text: str, default: Any) -> Any:
  try:
    number = float(text)
  except ValueError:
    return _WORDS.get(text, text)
  if not math.isfinite(number):
    raise base.UserError(f'{knob}={text}: it takes a finite number')
  whole = re.fullmatch(r'[+-]?\d+', text) and not isinstance(default, float)
  return int(text) if whole else number


def knobs_of(function: Callable[..., Any], after: int = 0) -> dict[str, Any]:
  """Knob -> default, for the parameters that can be set by name.

  Args:
    function: any callable.
    after: the number of parameters before the first knob.
  """
  parameters = list(signature(function).parameters.values())[after:]
  variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
  return {
    each.name: each.default
    for each in parameters
    if each.kind not in (*variadic, inspect.Parameter.POSITIONAL_ONLY)
  }


def signature(function: Callable[..., Any]) -> inspect.Signature:
  """The signature.

  Raises:
    UserError: it is unknown, as for some functions written in C.
  """
  try:
    return inspect.signature(function)
  except (TypeError, ValueError):
    raise base.UserError(
      f'{label(function)} has no signature: wrap it in a function'
    ) from None


def lookup(table: Mapping[str, Any], what: str, name: str) -> Any:
  """`base.lookup`, with a hint at dotted paths."""
  try:
    return base.lookup(table, what, name)
  except base.UserError as error:
    raise base.UserError(
      f'{error}; or the dotted path of a function, as mylab.module.function'
    ) from None


def imported(path: str) -> Callable[..., Any]:
  """The function of a dotted path.

  Args:
    path: module and attributes, `mylab.inits.spread`.

  Raises:
    UserError: the module is missing or fails to import, or the attribute is
      missing or not callable.
  """
  parts = path.split('.')
  if not all(part.isidentifier() for part in parts):
    raise base.UserError(f'{path!r} is not a dotted path: mylab.inits.spread')
  for size in range(len(parts) - 1, 0, -1):
    found: Any = _module('.'.join(parts[:size]))
    if found is not None:
      break
  else:
    raise base.UserError(
      f'{path}: there is no module {".".join(parts[:-1])!r}, neither '
      f'installed nor in {_searched()}'
    )
  for place in range(size, len(parts)):
    owner, part = '.'.join(parts[:place]), parts[place]
    if not hasattr(found, part):
      near = difflib.get_close_matches(part, dir(found), n=1)
      hint = f', did you mean {near[0]!r}?' if near else ''
      raise base.UserError(f'{path}: {owner!r} has no {part!r}{hint}')
    found = getattr(found, part)
  if not callable(found):
    kind = type(found).__name__
    raise base.UserError(f'{path} is not a function, but of type {kind}')
  return found


def _searched() -> str:
  """The first folder of the module search path."""
  return sys.path[0] or str(pathlib.Path.cwd())


def _module(name: str) -> types.ModuleType | None:
  """The module, None if it is missing; the running script is reused."""
  if name == _name_of_main():
    return sys.modules['__main__']
  try:
    return importlib.import_module(name)
  except Exception as error:
    absent = isinstance(error, ModuleNotFoundError) and error.name
    if absent and f'{name}.'.startswith(f'{absent}.'):
      return None
    kind = type(error).__name__
    raise base.UserError(f'{name} fails to import: {kind}: {error}') from error


def _name_of_main() -> str:
  """The import name of the running script; '' in a notebook or a shell."""
  main = sys.modules['__main__']
  spec = getattr(main, '__spec__', None)
  if spec is not None:
    return spec.name
  return pathlib.Path(getattr(main, '__file__', None) or '').stem


def label(function: Callable[..., Any]) -> str:
  """A function in words: its dotted path, or else its own name.

  Examples:
    >>> label(split), label(lambda x: x)
    ('initlab.functions.split', '<lambda>')
  """
  try:
    return path(function)
  except base.UserError:
    return _own_name(function)


def path(function: Callable[..., Any]) -> str:
  """The dotted path for `imported`.

  Raises:
    UserError: the function has no path: it is a lambda, nested, a partial, or
      defined in a notebook.
  """
  module, name = getattr(function, '__module__', None), _own_name(function)
  module = _name_of_main() if module == '__main__' else module
  found = f'{module}.{name}'
  try:
    same = bool(module) and imported(found) is function
  except base.UserError:
    same = False
  if not same:
    raise base.UserError(
      f'{name} has no dotted path by which it could be imported again, so '
      'results cannot be stored under its name: define it in a module'
    )
  return found


def _own_name(function: Callable[..., Any]) -> str:
  return getattr(function, '__qualname__', type(function).__qualname__)


def hashable(function: Callable[..., Any]) -> None:
  """Refuses a function that cannot be the value of a knob.

  Raises:
    UserError: it cannot be hashed.
  """
  try:
    hash(function)
  except TypeError:
    raise base.UserError(
      f'{label(function)} cannot be hashed, so it cannot be a knob: wrap it '
      'in a function'
    ) from None
