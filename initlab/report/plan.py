"""The plan of a study: missing seeds, memory and FLOP, without running it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from initlab.engine import lanes, partition, sizing, store, study
from initlab.experiment import Experiment
from initlab.report import tables, text as full


class Plan(NamedTuple):
  """What a study would do.

  experiment: its name.
  settings: one each.
  shards: seeds of all settings, in all and missing, of each worker; empty for a
    single one.
  devices: how many, and of what kind.
  memory: bytes of one device.
  folder: of the rows.
  """

  experiment: str
  settings: list['Setting']
  shards: list[tuple[int, int]]
  devices: str
  memory: int
  folder: str


class Setting(NamedTuple):
  """What is to be done for one setting.

  done, missing: seeds.
  lanes: the vmap width.
  chunk: seeds per call.
  calls: of chunks that are missing.
  memory: peak bytes per device, at most; 0 if it is not compiled.
  flop: floating-point operations per seed; 0 if it is not compiled.
  """

  label: str
  done: int
  missing: int
  lanes: int
  chunk: int
  calls: int
  memory: int
  flop: float


def make(
  experiment: Experiment,
  settings: Sequence[Any],
  options: study.Options,
  num_shards: int,
) -> Plan:
  """Traces every program, but runs and writes nothing.

  A program is compiled only if its memory may exceed that of a device.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: how to run it.
    num_shards: the number of workers.

  Raises:
    UserError: data, a folder or a device is not available.
  """
  devices = lanes.chosen_devices(options.devices)
  tasks = study.open_tasks(experiment, settings, options, create=False)
  absent = [store.missing(task.folder, options.seeds) for task in tasks]
  limit = lanes.device_memory(devices[0])
  return Plan(
    experiment=experiment.name,
    settings=[
      _setting(experiment, task, options, len(seeds), limit)
      for task, seeds in zip(tasks, absent, strict=True)
    ],
    shards=_shards(tasks, options, absent, num_shards),
    devices=f'{len(devices)} x {devices[0].device_kind}',
    memory=limit,
    folder=str(options.out / experiment.name),
  )


def as_dict(plan: Plan) -> dict[str, Any]:
  """A plan for machines."""
  return plan._asdict() | {
    'settings': [each._asdict() for each in plan.settings],
    'shards': [{'seeds': n, 'missing': rest} for n, rest in plan.shards],
  }


def text(plan: Plan, width: int) -> str:
  """A plan as text.

  Args:
    plan: from `make`.
    width: columns of the text.
  """
  missing = sum(each.missing for each in plan.settings)
  total = sum(each.missing * each.flop for each in plan.settings)
  parts = [
    f'{plan.experiment}: a plan, nothing has been run\n',
    tables.grid(_by_setting(plan.settings), width),
    f'\n{missing} seeds are missing: {lanes.scaled(total, "FLOP")} on '
    f'{plan.devices}',
    f'rows would be in {plan.folder}',
  ]
  if plan.shards:
    parts.insert(2, '\n' + tables.grid(_by_shard(plan.shards), width))
  note = (
    f'Memory is an upper bound, of {lanes.scaled(plan.memory, "B")} in all on '
    'a device; only where the bound exceeds that is it the peak that the '
    'compiler reports. FLOP count matrix products only; a loop of unknown '
    'length within a step counts once.'
  )
  parts.append(full.wrap(note, width))
  return '\n'.join(parts) + '\n'


def _by_setting(settings: Sequence[Setting]) -> tables.Table:
  column = lambda group, head, cells: tables.Column(
    group, head, [str(cell) for cell in cells]
  )
  return tables.Table(
    'Settings',
    column('', 'setting', [each.label for each in settings]),
    [
      column('seeds', 'done', [each.done for each in settings]),
      column('seeds', 'missing', [each.missing for each in settings]),
      column('', 'lanes', [each.lanes for each in settings]),
      column('chunks', 'seeds', [each.chunk for each in settings]),
      column('chunks', 'missing', [each.calls for each in settings]),
      column(
        'memory', 'a device', [lanes.scaled(e.memory, 'B') for e in settings]
      ),
      column(
        'cost', 'a seed', [lanes.scaled(e.flop, 'FLOP') for e in settings]
      ),
    ],
  )


def _by_shard(shards: Sequence[tuple[int, int]]) -> tables.Table:
  sizes, missing = zip(*shards, strict=True)
  return tables.Table(
    'Shards',
    tables.Column('', 'shard', [str(index) for index in range(len(shards))]),
    [
      tables.Column('seeds of all settings', 'in all', list(map(str, sizes))),
      tables.Column(
        'seeds of all settings', 'missing', list(map(str, missing))
      ),
    ],
  )


def _shards(
  tasks: Sequence[study.Task],
  options: study.Options,
  absent: Sequence[np.ndarray],
  count: int,
) -> list[tuple[int, int]]:
  if count == 1:
    return []
  sizes, missing = np.zeros((2, count), int)
  for index in range(count):
    for task, seeds in zip(tasks, absent, strict=True):
      worker = partition.Worker(index, count)
      share = partition.share(options.seeds, task.folder.block, worker)
      sizes[index] += len(share)
      missing[index] += np.isin(share, seeds).sum()
  return list(zip(sizes.tolist(), missing.tolist(), strict=True))


def _setting(
  experiment: Experiment,
  task: study.Task,
  options: study.Options,
  missing: int,
  limit: int,
) -> Setting:
  with sizing.arithmetic(experiment):
    programs = sizing.programs(experiment, task, options.root_seed)
    work = sum(calls * lanes.work(traced) for calls, traced in programs)
  size = task.runner.size
  return Setting(
    label=task.label,
    done=len(options.seeds) - missing,
    missing=missing,
    lanes=sizing.lanes_of(task),
    chunk=size,
    calls=-(-missing // size),
    memory=sizing.memory(experiment, task, options.root_seed, limit),
    flop=work / size,
  )
