"""A study before it is run: what is missing, and what that would take."""

from collections.abc import Iterator, Sequence
import math
import textwrap
from typing import Any, NamedTuple

import jax
from jax.extend import core
import numpy as np

from initlab import base, keys, store, study, sweeps, tables

P = jax.sharding.PartitionSpec


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
  experiment: base.Experiment,
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
  devices = study.chosen_devices(options.devices)
  tasks = study.open_tasks(
    experiment, settings, options, devices[0], create=False
  )
  absent = [store.missing(task.folder, options.seeds) for task in tasks]
  needs = [_needs(experiment, task, options, devices) for task in tasks]
  total = sum(
    len(seeds) * need.work for seeds, need in zip(absent, needs, strict=True)
  )
  parts = [
    f'{experiment.name}: a plan, nothing has been run\n',
    tables.grid(_by_setting(tasks, options, absent, needs), width),
    f'\n{sum(map(len, absent))} seeds are missing: {_scaled(total, "FLOP")} on '
    f'{len(devices)} x {devices[0].device_kind}',
    f'rows would be in {options.out / experiment.name}',
  ]
  if num_shards > 1:
    table = _by_shard(tasks, options, absent, num_shards)
    parts.insert(2, '\n' + tables.grid(table, width))
  note = (
    'Memory is what the compiler allots to a call, on each device. FLOP are of '
    'matrix products alone; a loop of unknown length within a step counts once.'
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
      column('', 'lanes', [t.folder.identity['bits']['lanes'] for t in tasks]),
      column('chunks', 'seeds', [need.size for need in needs]),
      column('chunks', 'missing', calls),
      column('memory', 'a device', [_scaled(n.memory, 'B') for n in needs]),
      column('cost', 'a seed', [_scaled(n.work, 'FLOP') for n in needs]),
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
  experiment: base.Experiment,
  task: study.Task,
  options: study.Options,
  devices: Sequence[Any],
) -> _Needs:
  if not experiment.compiled:
    return _Needs(1, 0, 0.0)
  with study.arithmetic(experiment):
    return _compiled_needs(experiment, task, options, devices)


def _compiled_needs(
  experiment: base.Experiment,
  task: study.Task,
  options: study.Options,
  devices: Sequence[Any],
) -> _Needs:
  root_key = keys.root(options.root_seed)
  if experiment.training is None:
    engine: Any = study.engine(experiment, task, devices)
    seeds = np.zeros(engine.size, np.uint32)
    traced = engine.call.trace(root_key, seeds, task.data)
    return _Needs(engine.size, _memory(traced), _work(traced) / engine.size)
  trainer: Any = study.trainer(experiment, task, devices)
  steps = experiment.training.steps(task.config)
  numbers = sweeps.traced(experiment.training.numbers(task.config))
  data = sweeps.to_devices(trainer, task.data)
  seeds = np.zeros(trainer.size, np.uint32)
  spread = jax.sharding.NamedSharding(trainer.mesh, P('seeds'))
  state = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=spread),
    jax.eval_shape(trainer.start, root_key, numbers, data, seeds),
  )
  start = trainer.start.trace(root_key, numbers, data, seeds)
  span = np.int32(0), np.int32(1)
  advance = trainer.advance.trace(root_key, numbers, data, *span, seeds, state)
  record = trainer.record.trace(data, state)
  work = _work(start) + steps[-1] * _work(advance) + len(steps) * _work(record)
  memory = max(map(_memory, (start, advance, record)))
  return _Needs(trainer.size, memory, work / trainer.size)


def _memory(traced: Any) -> int:
  """Bytes on each device during a call."""
  sizes = traced.lower().compile().memory_analysis()
  return (
    sizes.argument_size_in_bytes
    + sizes.output_size_in_bytes
    + sizes.temp_size_in_bytes
    - sizes.alias_size_in_bytes
  )


def _work(traced: Any) -> float:
  """Operations of a call's matrix products.

  XLA's own count takes the body of every loop once, that over layers, too.
  """
  return _products(traced.jaxpr.jaxpr)


def _products(jaxpr: Any) -> float:
  total = 0.0
  for equation in jaxpr.eqns:
    name, params = equation.primitive.name, equation.params
    inner = [_products(body) for body in _bodies(params.values())]
    if name == 'dot_general':
      (contracted, _), _ = params['dimension_numbers']
      left, product = equation.invars[0].aval, equation.outvars[0].aval
      length = math.prod(left.shape[axis] for axis in contracted)
      total += 2 * length * math.prod(product.shape)
    elif name == 'scan':
      total += params['length'] * sum(inner)
    elif name == 'shard_map':
      total += params['mesh'].size * sum(inner)
    elif name == 'cond':
      total += max(inner)
    else:
      total += sum(inner)
  return total


def _bodies(values: Any) -> Iterator[core.Jaxpr]:
  """The programs among the parameters of an operation."""
  for value in values:
    if isinstance(value, core.Jaxpr):
      yield value
    elif isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, tuple | list):
      yield from _bodies(value)


def _scaled(number: float, unit: str) -> str:
  """
  Examples:
    >>> _scaled(1_398_920, 'B'), _scaled(0, 'FLOP')
    ('1.4 MB', '0 FLOP')
  """
  power = max(0, min(6, int(math.log10(max(number, 1)) // 3)))
  return f'{number / 1000**power:.3g} {["", *"kMGTPE"][power]}{unit}'
