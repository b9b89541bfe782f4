"""Plants faults one at a time, and counts those that the tests catch.

The faults are those of `scripts/faults.py`. Each is planted in a copy of the
tree, where the test files of its module run until one test fails. These are a
part of the default suite, so what they catch the suite catches. Exit status 0
if at least 95% are caught, 1 if not, 2 if the tests fail without a fault.

A module takes from one minute (keys) to a quarter of an hour (initializers) on
two cores, all of them about 40 minutes.
"""

import argparse
import concurrent.futures
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import faults

ROOT = pathlib.Path(__file__).parents[1]
PARTS = 'initlab', 'experiments', 'tests', 'scripts', 'pyproject.toml'
REQUIRED = 0.95
TIMEOUT = 1800  # seconds of all test files of a module


class Verdict(NamedTuple):
  """What the tests make of one fault.

  caught: whether a test failed.
  by: the first that did, or what else there is to say.
  seconds: until then.
  """

  caught: bool
  by: str
  seconds: float


def copy(folder: pathlib.Path) -> pathlib.Path:
  """What the tests need, in a new folder."""
  for part in PARTS:
    source, target = ROOT / part, folder / part
    if source.is_dir():
      skip = shutil.ignore_patterns('__pycache__')
      shutil.copytree(source, target, ignore=skip)
    else:
      shutil.copy(source, target)
  return folder


def planted(module: str, fault: faults.Fault) -> str:
  """The source of a module with a fault in it.

  Raises:
    ValueError: the text that is to be replaced does not occur exactly once.
  """
  source = (ROOT / 'initlab' / f'{module}.py').read_text()
  count = source.count(fault.before)
  if count != 1:
    raise ValueError(
      f'{module}: {fault.what}: the text before occurs {count} times, not once'
    )
  return source.replace(fault.before, fault.after)


def run_tests(tree: pathlib.Path, module: str) -> Verdict:
  """Runs the test files of a module up to the first failure."""
  start = time.monotonic()
  command = [sys.executable, '-m', 'pytest', '-x', '-q', '--tb=no']
  command += ['-p', 'no:cacheprovider', *faults.TESTS[module]]
  # Nothing stale: a fault may leave the size and the second of a file alone.
  environment = {**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'}
  try:
    done = subprocess.run(
      command,
      cwd=tree,
      env=environment,
      capture_output=True,
      text=True,
      timeout=TIMEOUT,
    )
  except subprocess.TimeoutExpired:
    return Verdict(True, 'no end', time.monotonic() - start)
  seconds = time.monotonic() - start
  if done.returncode not in (0, 1, 2):
    raise RuntimeError(f'pytest does not run:\n{done.stdout}{done.stderr}')
  first = re.search(r'^(?:FAILED|ERROR) (\S+)', done.stdout, re.MULTILINE)
  by = first[1].removeprefix('tests/') if first else ''
  return Verdict(done.returncode != 0, by, seconds)


def try_fault(
  trees: queue.Queue[pathlib.Path], module: str, fault: faults.Fault
) -> Verdict:
  """Plants a fault in a tree that nobody uses, and takes it out again."""
  tree = trees.get()
  path = tree / 'initlab' / f'{module}.py'
  right = path.read_text()
  path.write_text(planted(module, fault))
  try:
    return run_tests(tree, module)
  finally:
    path.write_text(right)
    trees.put(tree)


def table(verdicts: dict[tuple[str, faults.Fault], Verdict]) -> str:
  """Caught of planted, module by module, and what was not caught."""
  modules = dict.fromkeys(module for module, _ in verdicts)
  size = max(map(len, ['initializers', *modules])) + 2
  lines = [f'{"module":{size}}{"caught":>8}{"planted":>9}']
  for module in modules:
    of = [v.caught for (name, _), v in verdicts.items() if name == module]
    lines.append(f'{module:{size}}{sum(of):8}{len(of):9}')
  caught = sum(verdict.caught for verdict in verdicts.values())
  share = f'{caught / len(verdicts):.1%}'
  lines.append(f'{"all":{size}}{caught:8}{len(verdicts):9}  {share}')
  for (module, fault), verdict in verdicts.items():
    if not verdict.caught:
      why = fault.unseen or 'no reason is known'
      lines.append(f'not caught: {module}: {fault.what} ({why})')
  return '\n'.join(lines)


def main() -> int:
  parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
  )
  parser.add_argument('--module', choices=faults.FAULTS, help='only this one')
  parser.add_argument('--fault', default='', help='only those with this word')
  parser.add_argument('--list', action='store_true', help='run nothing')
  parser.add_argument(
    '-j', '--jobs', type=int, default=2, help='at a time; %(default)s'
  )
  args = parser.parse_args()
  chosen = [
    (module, fault)
    for module, of_module in faults.FAULTS.items()
    for fault in of_module
    if args.module in (None, module) and args.fault in fault.what
  ]
  for module, fault in chosen:
    planted(module, fault)
  if args.list or not chosen:
    for module, fault in chosen:
      print(f'{module}: {fault.what}')
    print(f'{len(chosen)} faults')
    return 0
  with tempfile.TemporaryDirectory() as scratch:
    folder = pathlib.Path(scratch)
    trees = queue.Queue()
    for index in range(args.jobs):
      trees.put(copy(folder / str(index)))
    clean = copy(folder / 'right')
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
      modules = dict.fromkeys(module for module, _ in chosen)
      rights = pool.map(lambda module: run_tests(clean, module), modules)
      for module, right in zip(modules, rights, strict=True):
        print(f'{module} without a fault: {right.seconds:.0f} s', flush=True)
        if right.caught:
          print(f'{right.by} fails without a fault', file=sys.stderr)
          return 2
      verdicts = {}
      results = pool.map(lambda each: try_fault(trees, *each), chosen)
      for (module, fault), verdict in zip(chosen, results, strict=True):
        verdicts[module, fault] = verdict
        said = verdict.by if verdict.caught else 'NOT CAUGHT'
        print(
          f'{module}: {fault.what}: {said} ({verdict.seconds:.0f} s)',
          flush=True,
        )
  print(table(verdicts))
  caught = sum(verdict.caught for verdict in verdicts.values())
  return int(caught < REQUIRED * len(verdicts))


if __name__ == '__main__':
  sys.exit(main())
