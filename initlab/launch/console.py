"""The command `initlab`: runs the lab's programs without a clone.

initlab variance --init=glorot   runs an experiment
initlab lectures.symmetry        runs one of a folder
initlab list                     lists all programs; --json for machines
"""

import ast
import importlib
import importlib.util
import pathlib
import runpy
import sys
import types

from initlab import base
from initlab.report import as_json

# Packages with the programs: installed, and in a clone.
_PACKAGES = ('initlab.experiments', 'experiments')
_USAGE = (
  'usage: initlab EXPERIMENT [--flag=value ...], or initlab list [--json]'
)


def main() -> None:
  """Runs the experiment named on the command line, like `python -m`."""
  name = sys.argv[1] if len(sys.argv) > 1 else ''
  if name in ('', '-h', '--help'):
    print(_USAGE)
    sys.exit(0 if name else 2)
  found = programs()
  if name == 'list':
    rest = sys.argv[2:]
    if rest not in ([], ['--json']):
      print(f'initlab: error: list {" ".join(rest)}. {_USAGE}', file=sys.stderr)
      sys.exit(1)
    if rest:
      print(as_json.document('programs', {'programs': found}), end='')
      return
    size = max(map(len, found))
    print(
      '\n'.join(f'{each.ljust(size)}  {doc}' for each, doc in found.items())
    )
    return
  if name not in found:
    print(
      f'initlab: error: unknown experiment {name!r}. One of: '
      f'{", ".join(found)}',
      file=sys.stderr,
    )
    sys.exit(2)
  del sys.argv[1]
  sys.path.insert(0, '')  # The current folder, like `python -m`.
  package = _package().__name__
  runpy.run_module(f'{package}.{name}', run_name='__main__', alter_sys=True)


def programs() -> dict[str, str]:
  """Name of each program -> the first line of its docstring."""
  root = pathlib.Path(_package().__path__[0])
  found = {}
  for path in sorted(root.rglob('*.py')):
    text = path.read_text('utf-8')
    if "__name__ == '__main__'" in text:
      parts = path.relative_to(root).with_suffix('').parts
      name = '.'.join(part for part in parts if part != '__main__')
      doc = ast.get_docstring(ast.parse(text)) or ''
      found[name] = doc.partition('\n')[0]
  return found


def _package() -> types.ModuleType:
  """The first of the packages that exists."""
  for name in _PACKAGES:
    if importlib.util.find_spec(name):
      return importlib.import_module(name)
  raise base.UserError('the experiments are not installed')
