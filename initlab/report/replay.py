"""How to repeat a run: the flagfile that it saves, and commands that read it.

A flagfile names every knob that decides bits, defaults included, so that a
default which changes later does not change what it repeats. Where the results
go is left to the command line, whose later flags override those of the file.
"""

from collections.abc import Sequence
import dataclasses
import shlex

import numpy as np

from initlab import base, functions, published
from initlab.engine import sizing, study
from initlab.experiment import Experiment, Outcome, written
from initlab.report import comparison

NAME = 'flags.txt'


def seeds_written(seeds: np.ndarray) -> str:
  """Ascending seeds in the syntax of the flag --seeds.

  Examples:
    >>> seeds_written(np.array([0, 1, 2, 3, 17]))
    '0:4,17'
  """
  return ','.join(
    f'{run[0]}:{int(run[-1]) + 1}' if len(run) > 1 else str(run[0])
    for run in consecutive(seeds)
  )


def consecutive(seeds: np.ndarray) -> list[np.ndarray]:
  """Ascending seeds, cut wherever one is missing.

  Examples:
    >>> [run.tolist() for run in consecutive(np.array([0, 1, 2, 3, 17]))]
    [[0, 1, 2, 3], [17]]
  """
  return np.split(seeds, np.flatnonzero(np.diff(seeds) != 1) + 1)


def flagfile(
  experiment: Experiment, tasks: Sequence[study.Task], options: study.Options
) -> str:
  """The content of the flagfile of a run.

  Settings that differ in lanes have no flag in common: the file then says auto,
  and the replay of a single setting names its lanes.

  Args:
    experiment: the program that ran.
    tasks: from `study.run`; its settings are the product of their knobs.
    options: how it was run.
  """
  bits = tasks[0].folder.identity['bits']
  flags = {
    field.name: ','.join(
      dict.fromkeys(written(getattr(t.config, field.name)) for t in tasks)
    )
    for field in dataclasses.fields(experiment.config)
  }
  lanes = _lanes(tasks)
  flags |= {
    'seeds': seeds_written(options.seeds),
    'root_seed': str(options.root_seed),
    'lanes': str(lanes[0]) if len(lanes) == 1 else 'auto',
    'matmul_precision': options.matmul_precision,
  }
  if options.data_dir != published.default_data_dir():
    flags['data_dir'] = options.data_dir
  return text(
    experiment.program,
    flags,
    f'jax {bits["jax"]}, jaxlib {bits["jaxlib"]}, on {bits["device"]}',
  )


def nameable(settings: Sequence[object]) -> bool:
  """Whether a flagfile can name settings: all their functions have a path."""
  for config in settings:
    for value in vars(config).values():
      if callable(value):
        try:
          functions.path(value)
        except base.UserError:
          return False
  return True


def text(program: Sequence[str], flags: dict[str, str], versions: str) -> str:
  """A flagfile of absl: a flag a line, comments after #."""
  lines = [
    f'# {shlex.join(["python", *program])} --flagfile={NAME}',
    f'# repeats this run to the same bits with {versions}',
    *(f'--{name}={value}' for name, value in flags.items()),
  ]
  return '\n'.join(lines) + '\n'


def command(
  program: Sequence[str], path: str, flags: Sequence[str] = ()
) -> str:
  """A command that repeats a run in an empty folder.

  Args:
    program: what starts it, behind `python`.
    path: of the flagfile.
    flags: that override it.
  """
  words = ['python', *program, f'--flagfile={path}', *flags, '--out=replay']
  return shlex.join(words)


def commands(
  experiment: Experiment,
  tasks: Sequence[study.Task],
  outcomes: Sequence[Outcome],
  options: study.Options,
  path: str,
) -> dict[str, str]:
  """Commands that recompute the run, and single seeds, in an empty folder.

  Args:
    experiment: the program that ran.
    tasks, outcomes: what `study.run` returns.
    options: how it was run.
    path: of the flagfile.

  Returns:
    'replay', and of compared settings 'replay best', 'replay median' and
    'replay worst', each a command.
  """
  found = {'replay': command(experiment.program, path)}
  if not experiment.compared or len(options.seeds) == 1:
    return found
  lanes = _lanes(tasks)
  for task, outcome in zip(tasks, outcomes, strict=True):
    words = _own(task.config, [each.config for each in tasks])
    if len(lanes) > 1:
      words.append(f'--lanes={sizing.lanes_of(task)}')
    where = f' of {task.label}' if len(tasks) > 1 else ''
    examples = comparison.examples(experiment.compared[0], outcome)
    for name, seed in examples.items():
      found[f'replay {name}{where}'] = command(
        experiment.program, path, [*words, f'--seeds={seed}']
      )
  return found


def _lanes(tasks: Sequence[study.Task]) -> list[int]:
  return list(dict.fromkeys(sizing.lanes_of(task) for task in tasks))


def _own(config: object, settings: Sequence[object]) -> list[str]:
  """The flags of the knobs in which settings differ, for one of them."""
  texts = lambda each: {
    field.name: written(getattr(each, field.name))
    for field in dataclasses.fields(each)
  }
  everyone = [texts(each) for each in settings]
  return [
    f'--{name}={value}'
    for name, value in texts(config).items()
    if len({each[name] for each in everyone}) > 1
  ]
