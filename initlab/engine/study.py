"""A study: settings x seeds computed, resumed and saved.

What is done is what is stored, so the same study run again, after an
interruption or with more seeds, computes only what is missing. Nothing here
reads a flag or the clock.
"""

import bisect
from collections.abc import Callable, Sequence
import contextlib
import dataclasses
import functools
import importlib.metadata
import pathlib
import platform
from typing import Any, NamedTuple

import jax
import jaxlib
import numpy as np

from initlab import base, keys
from initlab.engine import lanes, parallel, program, resume, store
from initlab.engine.identity import Setting
from initlab.experiment import (
  Experiment,
  Outcome,
  Training,
  axes_of,
  geometric,
  recorded_steps,
  written,
)

# Seeds with room in one file, at least.
_BLOCK = 64

# `(label, count)`: so many more seeds of the setting of that label are done; a
# fraction where they are in training.
Advance = Callable[[str, float], None]


class Options(NamedTuple):
  """What is asked of a study beside its settings.

  seeds: `[S]` ascending.
  root_seed: that all keys come from.
  lanes: seeds a device advances at once; 0 leaves it to `lanes.auto_lanes`.
  devices: how many to use; 0 uses all.
  matmul_precision: of float32 products, as `launch` has configured it.
  out: the folder of all results.
  data_dir: the folder of downloaded data sets.
  command: the command line that asks for just this.
  checkpoint_every: seconds after which a training is saved.
  clock: in seconds, from any start; the one above never passes without one.
  uninterrupted: a context at whose end an interruption of it arrives.
  tensorboard: whether to write learning curves as event files, too.
  from_files: whether all functions are those of the source files, as in a
    program that a shell has started; in a notebook they may be others, and then
    nothing that was made of them before is taken for theirs unseen.
  """

  seeds: np.ndarray
  root_seed: int
  lanes: int
  devices: int
  matmul_precision: str
  out: pathlib.Path
  data_dir: str
  command: str
  checkpoint_every: float = 60.0
  clock: Callable[[], float] = lambda: 0.0
  uninterrupted: Callable[[], Any] = contextlib.nullcontext
  tensorboard: bool = False
  from_files: bool = False


class Shard(NamedTuple):
  """One worker's part of the seeds of every setting: 0 <= index < count."""

  index: int
  count: int


class Worked(NamedTuple):
  """What a worker did, in seeds of all settings.

  share: that are its own.
  computed: that were missing when it began.
  """

  share: int
  computed: int


class Task(NamedTuple):
  """One setting with its name among the others, and all it takes to run it.

  program: an Engine of `sweeps`, or a Trainer where the experiment trains.
  """

  config: Any
  label: str
  data: Any
  folder: Setting
  program: Any


def run(
  experiment: Experiment,
  settings: Sequence[Any],
  options: Options,
  advance: Callable[[int], Any],
) -> tuple[list[Outcome], list[Task]]:
  """Computes what is missing, and reads the whole.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: the rest.
    advance: given the number of missing seeds of all settings, a context
      manager of an `Advance`.

  Returns:
    One Outcome a setting, and the Task that it comes from.

  Raises:
    UserError: data, a folder or a device that is not to be had. Nothing has
      been computed then, but for a disk that fills up on the way.
  """
  devices = lanes.chosen_devices(options.devices)
  tasks = open_tasks(experiment, settings, options, devices)
  absent = [store.missing(task.folder, options.seeds) for task in tasks]
  with advance(sum(map(len, absent))) as progress:
    measured = [
      _measured(experiment, task, options, progress) for task in tasks
    ]
  outcomes = [
    Outcome(
      config=task.config,
      label=task.label,
      seeds=options.seeds,
      measured=each,
      predicted=experiment.predict(task.config, task.data),
      steps=recorded_steps(experiment, task.config),
      axes=axes_of(experiment.result),
      geometric=geometric(experiment.result),
    )
    for task, each in zip(tasks, measured, strict=True)
  ]
  return outcomes, tasks


def work(
  experiment: Experiment,
  settings: Sequence[Any],
  options: Options,
  shard: Shard,
  advance: Callable[[int], Any],
) -> Worked:
  """Computes what is missing of one worker's seeds, and writes no report.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: the rest; the seeds are those of all workers.
    shard: which worker this is.
    advance: as for `run`.

  Returns:
    How much it was.

  Raises:
    UserError: as `run`.
  """
  devices = lanes.chosen_devices(options.devices)
  tasks = open_tasks(experiment, settings, options, devices)
  shares = [share(options.seeds, task.folder.block, shard) for task in tasks]
  absent = [
    len(store.missing(task.folder, seeds))
    for task, seeds in zip(tasks, shares, strict=True)
  ]
  with advance(sum(absent)) as progress:
    for task, seeds in zip(tasks, shares, strict=True):
      if len(seeds):
        mine = options._replace(seeds=seeds)
        _complete(experiment, task, mine, progress)
  return Worked(sum(map(len, shares)), sum(absent))


def share(seeds: np.ndarray, block: int, shard: Shard) -> np.ndarray:
  """The seeds of one worker: every seed is one worker's, and always the same's.

  Whole blocks in turn, so that no two workers write one file, unless the
  largest share were then over 5/4 of an even one: then consecutive seeds.
  Files that two workers share are slower to write, and seeds that one of them
  loses to the other are computed again.

  Args:
    seeds: `[S]` ascending, of all workers.
    block: seeds a file.
    shard: which worker.

  Returns:
    `[n]` ascending; none where there are more workers than seeds.

  Examples:
    >>> share(np.arange(8), 2, Shard(1, 2))
    array([2, 3, 6, 7])
    >>> share(np.arange(8), 64, Shard(1, 2))
    array([4, 5, 6, 7])
  """
  blocks, sizes = np.unique(seeds // block, return_counts=True)
  shares = [sizes[first :: shard.count].sum() for first in range(shard.count)]
  if max(shares) * shard.count <= 1.25 * len(seeds):
    mine = blocks[shard.index :: shard.count]
    return seeds[np.isin(seeds // block, mine)]
  return np.array_split(seeds, shard.count)[shard.index]


def labels(settings: Sequence[Any]) -> list[str]:
  """What tells each setting from the others; the first knob of a single one."""
  fields = dataclasses.fields(settings[0])
  varying = [
    field
    for field in fields
    if len({getattr(config, field.name) for config in settings}) > 1
  ]

  def label(config: Any) -> str:
    words = []
    for field in varying or fields[:1]:
      text = written(getattr(config, field.name))
      named = field.metadata['choices']
      words.append(text if named else f'{field.name} {text}')
    return ', '.join(words)

  return [label(config) for config in settings]


def open_tasks(
  experiment: Experiment,
  settings: Sequence[Any],
  options: Options,
  devices: Sequence[Any],
  *,
  create: bool = True,
) -> list[Task]:
  """Loads the data of every setting, chooses its lanes and finds its folder.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: the rest.
    devices: those that compute.
    create: whether folders that are not there are made.

  Raises:
    UserError: data, memory or a folder that is not to be had.
  """
  data = [experiment.load(config, options.data_dir) for config in settings]
  memory = None
  if options.from_files and experiment.compiled:
    path = options.out / experiment.name / '_programs.json'
    memory = program.recall(path, options.matmul_precision)
  with arithmetic(experiment):
    names, found = program.names(
      experiment, settings, data, memory.programs if memory else {}
    )
  tasks = [
    _fitting(experiment, *each, options, devices)
    for each in zip(settings, labels(settings), data, names, strict=True)
  ]
  if not create:
    return tasks
  store.set_aside([task.folder for task in tasks])
  if memory:
    program.remember(memory, found)
  folder = functools.partial(_folder, experiment, options, devices[0])
  return [
    task._replace(folder=folder(task.config, task.label, name, lanes_of(task)))
    for task, name in zip(tasks, names, strict=True)
  ]


def lanes_of(task: Task) -> int:
  """How many seeds a device advances at once."""
  return task.folder.identity['bits']['lanes']


def _fitting(
  experiment: Experiment,
  config: Any,
  label: str,
  data: Any,
  name: program.Name,
  options: Options,
  devices: Sequence[Any],
) -> Task:
  """A setting at as many lanes as its devices have the memory for.

  Lanes decide bits, so they follow from backend, shapes and the memory that a
  device has, never from what is free. Where nothing is missing, nothing is
  asked.
  """
  limit = lanes.device_memory(devices[0])

  @functools.cache
  def at(count: int) -> Task:
    place = experiment, options, devices[0], config, label, name, count
    computes = _program(experiment, config, name.program, count, devices)
    return Task(config, label, data, _folder(*place, create=False), computes)

  @functools.cache
  def needed(count: int) -> int:
    return _memory(experiment, at(count), options.root_seed, limit)

  most = options.lanes or lanes.auto_lanes(
    devices[0].platform, experiment.parameters(config)
  )
  absent = store.missing(at(most).folder, options.seeds)
  if not absent.size or needed(most) <= limit:
    return at(most)
  fewer = [2**k for k in range(most.bit_length() - 1)] * (not options.lanes)
  fitting = bisect.bisect_right(fewer, limit, key=needed)
  if not fitting:
    least = options.lanes or 1
    raise base.UserError(_too_large(at(least), needed(least), limit))
  return at(fewer[fitting - 1])


def _memory(
  experiment: Experiment, task: Task, root_seed: int, limit: int
) -> int:
  """Bytes a device, of the largest program; what is surely below, roughly."""
  with arithmetic(experiment):
    traced = [each for _, each in programs(experiment, task, root_seed)]
    bound = max(map(lanes.memory_bound, traced), default=0)
    return max(map(lanes.memory, traced)) if bound > limit else bound


def _too_large(task: Task, needed: int, limit: int) -> str:
  count = lanes_of(task)
  found = (
    f'{task.label}: {count} lanes take'
    if count > 1
    else (f'{task.label}: a single lane takes')
  )
  remedy = 'fewer lanes, or --lanes=auto, which lowers them to fit'
  if count == 1:
    remedy = 'a smaller network, fewer examples or a smaller minibatch'
  return (
    f'{found} {lanes.scaled(needed, "B")} of memory on each device, which has '
    f'{lanes.scaled(limit, "B")}; choose {remedy}'
  )


def programs(
  experiment: Experiment, task: Task, root_seed: int
) -> list[tuple[int, Any]]:
  """What runs for a full call of a setting: how often, and the traced program.

  None of what is not compiled.
  """
  if not experiment.compiled:
    return []
  root_key = keys.root(root_seed)
  if isinstance(task.program, parallel.Engine):
    return parallel.engine_programs(task.program, root_key, task.data)
  training = experiment.training
  assert training
  return parallel.trainer_programs(
    task.program,
    root_key,
    training.numbers(task.config),
    task.data,
    training.steps(task.config),
  )


def _folder(
  experiment: Experiment,
  options: Options,
  device: Any,
  config: Any,
  label: str,
  name: program.Name,
  lanes: int,
  *,
  create: bool = True,
) -> Setting:
  steps = recorded_steps(experiment, config)
  bits = {
    'root_seed': options.root_seed,
    'lanes': lanes,
    'device': device.device_kind,
    'jax': jax.__version__,
    'jaxlib': jaxlib.__version__,
    'matmul_precision': options.matmul_precision,
    'dtype': experiment.dtype,
    **name._asdict(),
  }
  return store.open_setting(
    options.out,
    experiment.name,
    label,
    config,
    bits,
    experiment.result,
    block=max(_BLOCK, lanes),
    environment=environment(),
    coordinates={'step': steps} if steps else None,
    create=create,
  )


def environment() -> dict[str, str]:
  """What is worth knowing of who computed, but decides nothing."""
  return {
    'initlab': importlib.metadata.version('initlab'),
    'python': platform.python_version(),
    'numpy': np.__version__,
    'platform': platform.platform(),
  }


def _measured(
  experiment: Experiment,
  task: Task,
  options: Options,
  progress: Advance,
) -> dict[str, np.ndarray]:
  """All seeds of one setting, from disk, whatever has to be run for that.

  More than once around only where a shard turns out to be broken.
  """
  while True:
    _complete(experiment, task, options, progress)
    with contextlib.suppress(store.MissingSeeds):
      return store.read(task.folder, options.seeds)


def _complete(
  experiment: Experiment,
  task: Task,
  options: Options,
  progress: Advance,
) -> None:
  """Runs what is missing of one setting, until nothing is.

  More than once around only where another process that wrote the same block at
  the same moment replaced a shard by one without our seeds.
  """
  while (seeds := store.missing(task.folder, options.seeds)).size:
    _fill(experiment, task, seeds, options, progress)


def _fill(
  experiment: Experiment,
  task: Task,
  seeds: np.ndarray,
  options: Options,
  progress: Advance,
) -> None:
  """Runs seeds and stores them, a chunk at a time."""
  progress(task.label, 0)
  with arithmetic(experiment):
    _compute(experiment, task, seeds, options, progress)


def arithmetic(experiment: Experiment) -> Any:
  """The context in which an experiment computes: of its dtype."""
  return jax.enable_x64(experiment.dtype == 'float64')


def _compute(
  experiment: Experiment,
  task: Task,
  seeds: np.ndarray,
  options: Options,
  progress: Advance,
) -> None:
  if experiment.training:
    resume.fill(
      task.program,
      experiment.training,
      experiment.result,
      task.config,
      task.data,
      task.folder,
      seeds,
      options.root_seed,
      clock=options.clock,
      save_every=options.checkpoint_every,
      uninterrupted=options.uninterrupted,
      progress=functools.partial(progress, task.label),
    )
    return
  root_key = keys.root(options.root_seed)
  for chunk, result in parallel.results(
    task.program, root_key, seeds, task.data
  ):
    store.write(task.folder, chunk, result)
    progress(task.label, len(chunk))


def _program(
  experiment: Experiment,
  config: Any,
  digest: str,
  lanes: int,
  devices: Sequence[Any],
) -> Any:
  """What computes a setting; nothing is compiled yet."""
  training = experiment.training
  if training:
    constants = training.program(config)
    return _trainer(training, constants, digest, lanes, tuple(devices))
  run = functools.partial(experiment.run, config)
  if not experiment.compiled:
    return parallel.uncompiled(run)
  return parallel.engine(run, lanes=lanes, devices=devices)


@functools.lru_cache(maxsize=8)
def _trainer(
  training: Training,
  constants: Any,
  digest: str,
  lanes: int,
  devices: tuple[Any, ...],
) -> parallel.Trainer:
  """One for all settings that differ in nothing but traced numbers.

  Of another digest are other programs, though of the same functions, as where a
  scheme has been redefined in between.
  """
  del digest
  return parallel.trainer(training, constants, lanes=lanes, devices=devices)
