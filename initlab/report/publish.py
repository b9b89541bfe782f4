"""Writes the files of a report."""

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import pathlib
import re
import shlex
from typing import Any

import numpy as np

from initlab import base
from initlab.engine import files, lanes, program, study
from initlab.experiment import Experiment, Outcome, written
from initlab.report import (
  comparison,
  page as pages,
  summary,
  tables,
  tensorboard,
)
from initlab.report.plots import figure as figures, style


def seeds_written(seeds: np.ndarray) -> str:
  """Ascending seeds in the syntax of the flag --seeds.

  Examples:
    >>> seeds_written(np.array([0, 1, 2, 3, 17]))
    '0:4,17'
  """
  runs = np.split(seeds, np.flatnonzero(np.diff(seeds) != 1) + 1)
  return ','.join(
    f'{run[0]}:{int(run[-1]) + 1}' if len(run) > 1 else str(run[0])
    for run in runs
  )


def check_curves(experiment: Experiment, settings: Sequence[Any]) -> None:
  """Checks, before a run, that event files can be written."""
  if not all(study.recorded_steps(experiment, config) for config in settings):
    raise base.UserError(
      f'--tensorboard: {experiment.name} has no learning curves'
    )
  tensorboard.library()


def _place(
  experiment: Experiment, tasks: Sequence[study.Task], options: study.Options
) -> pathlib.Path:
  """The report's folder, named by its settings and by its drawing code."""
  names = [task.folder.path.name for task in tasks]
  sources = program.package_files() | program.page_files(experiment)
  content = [program.digest(sources), *names]
  content += map(repr, experiment.panels)
  digest = hashlib.sha256('\n'.join(content).encode())
  digest.update(options.seeds.tobytes())
  words = re.sub(r'[^\w.]+', '-', '-'.join(task.label for task in tasks))[:60]
  name = f'{experiment.name}-{words}-{digest.hexdigest()[:8]}'
  return options.out / 'reports' / name


def facts(
  experiment: Experiment, tasks: Sequence[study.Task], options: study.Options
) -> dict[str, str]:
  """How to repeat a run: command, seeds, devices, versions.

  Args:
    experiment: the program that ran.
    tasks: from `study.run`.
    options: how it was run.
  """
  bits = tasks[0].folder.identity['bits']
  devices = len(lanes.chosen_devices(options.devices))
  environment = ', '.join(f'{k} {v}' for k, v in study.environment().items())
  return {
    'command': options.command,
    'seeds': f'{seeds_written(options.seeds)} ({len(options.seeds)} in all)',
    'root seed': str(options.root_seed),
    'lanes': ', '.join(
      dict.fromkeys(str(study.lanes_of(task)) for task in tasks)
    ),
    'devices': f'{devices} x {bits["device"]}',
    'precision': f'{bits["dtype"]}, matmul {bits["matmul_precision"]}',
    'versions': f'jax {bits["jax"]}, jaxlib {bits["jaxlib"]}, {environment}',
  }


def _replays(
  experiment: Experiment,
  tasks: Sequence[study.Task],
  outcomes: Sequence[Outcome],
  options: study.Options,
) -> dict[str, str]:
  """Commands that recompute single seeds, bit for bit, in an empty folder."""
  if not experiment.compared or len(options.seeds) == 1:
    return {}
  replays = {}
  for task, outcome in zip(tasks, outcomes, strict=True):
    examples = comparison.examples(experiment.compared[0], outcome)
    for name, seed in examples.items():
      words = ['python', *experiment.program]
      words += _flags(experiment, task.config)
      words += [f'--seeds={seed}', f'--root_seed={options.root_seed}']
      words += [f'--lanes={study.lanes_of(task)}']
      words += [f'--matmul_precision={options.matmul_precision}']
      words += ['--out=replay']
      where = f' of {task.label}' if len(tasks) > 1 else ''
      replays[f'replay {name}{where}'] = shlex.join(words)
  return replays


def _flags(experiment: Experiment, config: Any) -> list[str]:
  """The knobs that differ from the flags' defaults, as flags."""
  return [
    f'--{field.name}={written(getattr(config, field.name))}'
    for field in dataclasses.fields(config)
    if field.name in experiment.defaults
    or getattr(config, field.name) != field.default
  ]


def publish(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  tasks: Sequence[study.Task],
  options: study.Options,
) -> dict[str, str]:
  """Writes the report of a study.

  Args:
    experiment: the program that ran.
    outcomes, tasks: what `study.run` returns.
    options: how it was run.

  Returns:
    How to repeat the run, and where the files are.
  """
  place = _place(experiment, tasks, options)
  result = facts(experiment, tasks, options)
  result['rows'] = str(options.out / experiment.name)
  result['page'] = str(place / 'report.html')
  result |= _replays(experiment, tasks, outcomes, options)
  if not (options.from_files and (place / 'report.html').exists()):
    write(experiment, outcomes, result, place)
  if options.tensorboard:
    folder = place / 'tensorboard'
    for path, content in tensorboard.files(outcomes):
      files.write_bytes(folder / path, content)
    result['curves'] = f'tensorboard --logdir={folder}'
  return result


def write(
  experiment: Experiment,
  outcomes: Sequence[Outcome],
  facts: Mapping[str, str],
  place: pathlib.Path,
) -> None:
  """Writes figures, tables and, last, the page.

  Args:
    experiment: the program that ran.
    outcomes: one per setting.
    facts: from `facts`.
    place: the folder.
  """
  vectors = []
  for panel in experiment.panels:
    figure = figures.figure(panel, outcomes)
    vectors.append(style.svg(figure))
    files.write_text(place / f'{panel.name}.svg', vectors[-1])
    files.write_bytes(place / f'{panel.name}.png', style.png(figure))
  files.write_text(place / 'summary.csv', summary.csv(outcomes))
  for field in experiment.compared:
    found = comparison.all_tables(field, outcomes)
    numbers = comparison.csv(field, outcomes)
    text = '\n\n'.join(f'{t.title}\n\n{tables.grid(t, 200)}' for t in found)
    latex = '\n\n'.join(map(tables.latex, found))
    files.write_text(place / f'{field}.csv', numbers)
    files.write_text(place / f'{field}.txt', text + '\n')
    files.write_text(place / f'{field}.tex', latex + '\n')
  page = pages.page(experiment, outcomes, facts, vectors)
  files.write_text(place / 'report.html', page)
