"""A study before it is run: what is missing, and what that would take."""

from collections.abc import Sequence
import textwrap
from typing import Any, NamedTuple

import numpy as np

from initlab.engine import lanes, store, study
from initlab.experiment import Experiment
from initlab.report import tables


class _Needs(NamedTuple):
  """What one setting takes.

  size: seeds a call.
  memory: bytes a device, of its largest program; 0 of what is not compiled.
  work: floating-point operations a seed; 0 of what is not compiled.
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
  """What a run would do. Nothing is run or written; every program is compiled.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: the rest.
    num_shards: how many workers would share the seeds.
    width: columns of the page.

  Raises:
    UserError: data, a folder or a device that is not to be had.
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
    f'Memory is what the compiler allots to a call, on each device, of {limit} '
    'that it has. FLOP are of matrix products alone; a loop of unknown length '
    'within a step counts once.'
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
      shard = study.Shard(index, count)
      share = study.share(options.seeds, task.folder.block, shard)
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
  return _Needs(task.program.size, memory, work / task.program.size)
