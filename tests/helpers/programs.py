"""The programs of the lab: all of them, and some in processes of their own."""

import importlib
import pathlib
import subprocess
import sys

from initlab.launch import shell

_ROOT = pathlib.Path(__file__).parents[2]


def modules():
  """Name as in `python -m experiments.<name>` -> module, of every program."""
  found = {}
  for path in sorted((_ROOT / 'experiments').rglob('*.py')):
    parts = path.relative_to(_ROOT).with_suffix('').parts
    module = importlib.import_module('.'.join(parts))
    if hasattr(module, 'EXPERIMENT') or hasattr(module, 'COLLECTION'):
      name = '.'.join(part for part in parts[1:] if part != '__main__')
      found[name] = module
  return found


def module(name):
  """That of `python -m experiments.<name>`."""
  return modules()[name]


def chosen(name, argv):
  """The experiment of a program that a command line is for."""
  found = module(name)
  instead = getattr(found, 'INSTEAD', {})
  return shell.chosen(found.EXPERIMENT, instead, argv)


def start(name, *flags):
  """`python -m experiments.<name>`, where there is no terminal."""
  return subprocess.Popen(
    [sys.executable, '-m', f'experiments.{name}', *flags],
    cwd=_ROOT,
    stdin=subprocess.DEVNULL,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def finish(process, status=0):
  """What it printed, and what it complained of, as it ended with a status."""
  out, errors = process.communicate(timeout=400)
  assert process.returncode == status, errors
  return out, errors
