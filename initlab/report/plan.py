"""The plan of a study: missing seeds, memory and FLOP, without running it."""

from collections.abc import Sequence
import textwrap
from typing import Any, NamedTuple

import numpy as np

from initlab.engine import lanes, store, study
from initlab.experiment import Experiment
from initlab.report import tables


class _Needs(NamedTuple):
  """The cost of one setting.

  size: seeds per call.
  memory: peak bytes per device; 0 if it is not compiled.
  work: floating-point operations per seed; 0 if it is not compiled.
  """

  size: int
  memory: int
  work: float


def text(
  experiment: Experiment,
  settings: Sequence[Any],
  options: study.Options,
  num_shards: int,
  width: int,
) -> str:
  """The plan as text. Compiles every program, but runs and writes nothing.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: how to run it.
    num_shards: the number of workers.
    width: columns of the text.

  Raises:
    UserError: data, a folder or a device is not available.
  """
  devices = lanes.chosen_devices(options.devices)
  tasks = study.open_tasks(experiment, settings, options, devices, create=False)
  absent = [store.missing(task.folder, options.seeds) for task in tasks]
  needs = [_needs(experiment, task, options) for task in tasks]
  total = sum(
    len(seeds) * need.work for seeds, need in zip(absent, needs, strict=True)
  )
  parts = [
    f'{experiment.name}: a plan, nothing has been run\n',
    tables.grid(_by_setting(tasks, options, absent, needs), width),
    f'\n{sum(map(len, absent))} seeds are missing: '
    f'{lanes.scaled(total, "FLOP")} on {len(devices)} x '
    f'{devices[0].device_kind}',
    f'rows would be in {options.out / experiment.name}',
  ]
  if num_shards > 1:
    table = _by_shard(tasks, options, absent, num_shards)
    parts.insert(2, '\n' + tables.grid(table, width))
  limit = lanes.scaled(lanes.device_memory(devices[0]), 'B')
  note = (
    f'Memory is the peak per device that the compiler reports, of {limit} in '
    'all. FLOP count matrix products only; a loop of unknown length within a '
    'step counts once.'
  )
  parts.append(textwrap.fill(note, width))
  return '\n'.join(parts) + '\n'


def _by_setting(
  tasks: Sequence[study.Task],
  options: study.Options,
  absent: Sequence[np.ndarray],
  needs: Sequence[_Needs],
) -> tables.Table:
  column = lambda group, head, cells: tables.Column(
    group, head, [str(cell) for cell in cells]
  )
  counts = [len(seeds) for seeds in absent]
  calls = [-(-len(s) // n.size) for s, n in zip(absent, needs, strict=True)]
  return tables.Table(
    'Settings',
    column('', 'setting', [task.label for task in tasks]),
    [
      column('seeds', 'done', [len(options.seeds) - n for n in counts]),
      column('seeds', 'missing', counts),
      column('', 'lanes', [study.lanes_of(t) for t in tasks]),
      column('chunks', 'seeds', [need.size for need in needs]),
      column('chunks', 'missing', calls),
      column(
        'memory', 'a device', [lanes.scaled(n.memory, 'B') for n in needs]
      ),
      column('cost', 'a seed', [lanes.scaled(n.work, 'FLOP') for n in needs]),
    ],
  )


def _by_shard(
  tasks: Sequence[study.Task],
  options: study.Options,
  absent: Sequence[np.ndarray],
  count: int,
) -> tables.Table:
  sizes, missing = np.zeros((2, count), int)
  for index in range(count):
    for task, seeds in zip(tasks, absent, strict=True):
      worker = study.Worker(index, count)
      share = study.share(options.seeds, task.folder.block, worker)
      sizes[index] += len(share)
      missing[index] += np.isin(share, seeds).sum()
  return tables.Table(
    'Shards',
    tables.Column('', 'shard', [str(index) for index in range(count)]),
    [
      tables.Column('seeds of all settings', 'in all', list(map(str, sizes))),
      tables.Column(
        'seeds of all settings', 'missing', list(map(str, missing))
      ),
    ],
  )


def _needs(
  experiment: Experiment, task: study.Task, options: study.Options
) -> _Needs:
  with study.arithmetic(experiment):
    programs = study.programs(experiment, task, options.root_seed)
    work = sum(calls * lanes.work(traced) for calls, traced in programs)
    memory = max((lanes.memory(traced) for _, traced in programs), default=0)
  return _Needs(task.runner.size, memory, work / task.runner.size)
