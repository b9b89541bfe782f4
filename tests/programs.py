"""Programs in processes of their own, for tests that kill and crowd them."""

import pathlib
import subprocess
import sys

_ROOT = pathlib.Path(__file__).parents[1]


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
