"""Writes the files of a report."""

from collections.abc import Mapping, Sequence
import hashlib
import pathlib
import re
from typing import Any

from initlab import base
from initlab.engine import files, lanes, program, sizing, study
from initlab.experiment import Experiment, Outcome
from initlab.report import (
  comparison,
  page as pages,
  replay,
  summary,
  tables,
  tensorboard,
)
from initlab.report.plots import figure as figures, style


def check_curves(experiment: Experiment, settings: Sequence[Any]) -> None:
  """Checks, before a run, that event files can be written."""
  if not all(study.recorded_steps(experiment, config) for config in settings):
    raise base.UserError(
      f'--tensorboard: {experiment.name} has no learning curves'
    )
  tensorboard.library()


def _place(
  experiment: Experiment,
  tasks: Sequence[study.Task],
  options: study.Options,
  flags: str,
) -> pathlib.Path:
  """The report's folder, named by its settings and by its drawing code."""
  names = [task.folder.path.name for task in tasks]
  sources = program.package_files() | program.page_files(experiment)
  content = [program.digest(sources), *names]
  content += [*map(repr, experiment.panels), flags]
  label = '-'.join(task.label for task in tasks)
  name = named(experiment.name, label, '\n'.join(content))
  return options.out / 'reports' / name


def named(name: str, label: str, content: str) -> str:
  """The name of a report of which there are several, by its content.

  Examples:
    >>> named('lectures', 'only=start decides', '--only=start decides')
    'lectures-only-start-decides-5ac86775'
  """
  words = re.sub(r'[^\w.]+', '-', label)[:40]
  return f'{name}-{words}-{hashlib.sha256(content.encode()).hexdigest()[:8]}'


def facts(
  tasks: Sequence[study.Task], options: study.Options
) -> dict[str, str]:
  """How to repeat a run: command, seeds, devices, versions.

  Args:
    tasks: from `study.run`.
    options: how it was run.
  """
  bits = tasks[0].folder.identity['bits']
  seeds = replay.seeds_written(options.seeds)
  devices = len(lanes.chosen_devices(options.devices))
  environment = ', '.join(f'{k} {v}' for k, v in study.environment().items())
  return {
    'command': options.command,
    'seeds': f'{seeds} ({len(options.seeds)} in all)',
    'root seed': str(options.root_seed),
    'lanes': ', '.join(
      dict.fromkeys(str(sizing.lanes_of(task)) for task in tasks)
    ),
    'devices': f'{devices} x {bits["device"]}',
    'precision': f'{bits["dtype"]}, matmul {bits["matmul_precision"]}',
    'versions': f'jax {bits["jax"]}, jaxlib {bits["jaxlib"]}, {environment}',
  }


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
  flags = replay.flagfile(experiment, tasks, options)
  place = _place(experiment, tasks, options, flags)
  result = facts(tasks, options)
  result['rows'] = str(options.out / experiment.name)
  result['page'] = str(place / 'report.html')
  result['flags'] = str(place / replay.NAME)
  result |= replay.commands(
    experiment, tasks, outcomes, options, result['flags']
  )
  if not (options.from_files and (place / 'report.html').exists()):
    files.write_text(place / replay.NAME, flags)
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
    vectors.append(style.write(figure, place, panel.name))
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
