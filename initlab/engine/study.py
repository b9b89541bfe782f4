"""A study: computes, resumes and stores settings x seeds.

Only missing seeds are computed, so a study can be run again after an
interruption or with more seeds. Nothing here reads a flag or the clock.
"""

from collections.abc import Callable, Iterator, Sequence
import contextlib
import dataclasses
import functools
import importlib.metadata
import pathlib
import platform
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jaxlib
import numpy as np

from initlab import base, keys
from initlab.engine import (
  ahead,
  lanes,
  parallel,
  partition,
  program,
  resume,
  sizing,
  store,
)
from initlab.engine.identity import Folder
from initlab.experiment import (
  Experiment,
  Outcome,
  Training,
  axes_of,
  geometric,
  recorded_steps,
  shares,
  varying,
  written,
)

if TYPE_CHECKING:
  import pyarrow as pa

# Most programs that are kept. A sweep meets all of its own for each value of a
# traced knob that varies more slowly; those not kept are compiled again.
_KEPT = 128

# Fewest seeds per shard.
_BLOCK = 64

# `(label, count)`: `count` more seeds of setting `label` are finished
# (fractional during training).
Progress = Callable[[str, float], None]


class Options(NamedTuple):
  """How to run a study.

  seeds: `[S]` ascending.
  root_seed: the integer that all keys are derived from.
  lanes: the vmap width; 0 chooses it by `lanes.auto_lanes`.
  devices: the number of devices; 0 uses all.
  matmul_precision: of float32 products, as `launch` has configured it.
  out: the folder of all results.
  data_dir: the folder of downloaded data sets.
  command: the command line that repeats this study.
  checkpoint_every: seconds between checkpoints of a training.
  clock: monotonic seconds. The default never advances, which disables timed
    checkpoints.
  uninterrupted: context manager that defers interruptions until it exits.
  tensorboard: whether to also write learning curves as event files.
  from_files: whether all functions come from unchanged source files, as in a
    program started from a shell. A notebook may have redefined them, so there
    cached digests and reports are not reused.
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


class Tally(NamedTuple):
  """Seeds of a worker, over all settings.

  share: assigned to it.
  computed: missing when it started.
  """

  share: int
  computed: int


class Task(NamedTuple):
  """One setting, its label, and everything needed to run it.

  runner: an `Engine` of `parallel`, or a `Trainer` where the experiment trains.
  """

  config: Any
  label: str
  data: Any
  folder: Folder
  runner: Any


def run(
  experiment: Experiment,
  settings: Sequence[Any],
  options: Options,
  bar: Callable[[int], Any],
) -> tuple[list[Outcome], list[Task]]:
  """Computes missing seeds and reads all results.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: how to run it.
    bar: `total -> context manager` that yields a `Progress`, given the number
      of missing seeds of all settings.

  Returns:
    One Outcome per setting, and its Task.

  Raises:
    UserError: data, a folder or a device is not available. It is raised before
      anything is computed, unless the disk fills up later.
  """
  tasks = open_tasks(experiment, settings, options)
  absent = [store.missing(task.folder, options.seeds) for task in tasks]
  with bar(sum(map(len, absent))) as progress:
    measured = [
      _measured(experiment, task, options, progress)
      for task in _once_compiled(experiment, tasks, absent, options)
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
      shares=shares(experiment.result),
    )
    for task, each in zip(tasks, measured, strict=True)
  ]
  return outcomes, tasks


def rows(tasks: Sequence[Task], seeds: np.ndarray) -> 'pa.Table':
  """The stored rows of seeds of all settings, ascending.

  Args:
    tasks: from `run`.
    seeds: `[S]` the seeds passed to `run`.
  """
  return store.rows([task.folder for task in tasks], seeds)


def work(
  experiment: Experiment,
  settings: Sequence[Any],
  options: Options,
  worker: partition.Worker,
  bar: Callable[[int], Any],
) -> Tally:
  """Computes the missing seeds of one worker, and writes no report.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: how to run it; the seeds are those of all workers.
    worker: which worker this is.
    bar: as for `run`.

  Returns:
    The number of seeds.

  Raises:
    UserError: as `run`.
  """
  tasks = open_tasks(experiment, settings, options)
  shares = [
    partition.share(options.seeds, task.folder.block, worker) for task in tasks
  ]
  absent = [
    store.missing(task.folder, seeds)
    for task, seeds in zip(tasks, shares, strict=True)
  ]
  with bar(sum(map(len, absent))) as progress:
    ready = _once_compiled(experiment, tasks, absent, options)
    for task, seeds in zip(ready, shares, strict=True):
      if len(seeds):
        mine = options._replace(seeds=seeds)
        _complete(experiment, task, mine, progress)
  return Tally(sum(map(len, shares)), sum(map(len, absent)))


def labels(settings: Sequence[Any]) -> list[str]:
  """Labels from the knobs that vary; from the first knob for one setting."""
  knobs = varying(settings) or dataclasses.fields(settings[0])[:1]

  def label(config: Any) -> str:
    words = []
    for field in knobs:
      text = written(getattr(config, field.name))
      named = field.metadata['choices']
      words.append(text if named else f'{field.name} {text}')
    return ', '.join(words)

  return [label(config) for config in settings]


def open_tasks(
  experiment: Experiment,
  settings: Sequence[Any],
  options: Options,
  *,
  create: bool = True,
) -> list[Task]:
  """Loads the data of every setting, chooses its lanes and finds its folder.

  Args:
    experiment: the program.
    settings: Configs, at least one.
    options: how to run it.
    create: whether to create missing folders.

  Raises:
    UserError: data, memory, a device or a folder is not available.
  """
  devices = lanes.chosen_devices(options.devices)
  data = [experiment.load(config, options.data_dir) for config in settings]
  memory = None
  if options.from_files and experiment.compiled:
    path = options.out / experiment.name / '_programs.json'
    memory = program.recall(path, options.matmul_precision)
  with sizing.arithmetic(experiment):
    names, found = program.names(
      experiment, settings, data, memory.programs if memory else {}
    )
  auto = sizing.auto_lanes(experiment, devices[0].platform)
  widths = [options.lanes or auto(config) for config in settings]
  places = zip(settings, labels(settings), data, names, widths, strict=True)
  tasks = [_fitting(experiment, *place, options, devices) for place in places]
  if not create:
    return tasks
  store.set_aside([task.folder for task in tasks])
  if memory:
    program.remember(memory, found)
  folder = functools.partial(_folder, experiment, options, devices[0])
  return [
    task._replace(
      folder=folder(task.config, task.label, name, sizing.lanes_of(task))
    )
    for task, name in zip(tasks, names, strict=True)
  ]


def _fitting(
  experiment: Experiment,
  config: Any,
  label: str,
  data: Any,
  name: program.Name,
  width: int,
  options: Options,
  devices: Sequence[Any],
) -> Task:
  """A task with the largest vmap width that fits in device memory.

  The vmap width affects results bitwise, so it depends only on backend, shapes
  and total (not free) device memory. Skipped if all seeds are stored.
  """
  limit = lanes.device_memory(devices[0])

  def at(count: int) -> Task:
    place = experiment, options, devices[0], config, label, name, count
    if experiment.compiled:
      computes = _compiled(
        experiment.run,
        experiment.training,
        name.program,
        count,
        tuple(devices),
      )
    else:
      assert experiment.run
      computes = parallel.uncompiled(experiment.run)
    return Task(config, label, data, _folder(*place, create=False), computes)

  task = at(width)
  if not store.missing(task.folder, options.seeds).size:
    return task
  while (
    needed := sizing.memory(experiment, task, options.root_seed, limit)
  ) > limit:
    if options.lanes or sizing.lanes_of(task) == 1:
      raise base.UserError(sizing.too_large(task, needed, limit))
    task = at(sizing.lanes_of(task) // 2)
  return task


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
) -> Folder:
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
  """Versions and platform, recorded for information only."""
  return {
    'initlab': importlib.metadata.version('initlab'),
    'python': platform.python_version(),
    'numpy': np.__version__,
    'platform': platform.platform(),
  }


def _once_compiled(
  experiment: Experiment,
  tasks: Sequence[Task],
  absent: Sequence[np.ndarray],
  options: Options,
) -> Iterator[Task]:
  """The tasks in turn, each once its programs are compiled.

  Those of later tasks compile while the seeds of an earlier one run, as XLA
  uses one core for one program. Not on an accelerator, where XLA chooses
  algorithms by their duration on the device. A task without absent seeds
  compiles nothing.
  """
  if jax.default_backend() != 'cpu':
    yield from tasks
    return
  precision = options.matmul_precision

  def compile_(traced: Any) -> None:
    # A thread has settings of its own.
    with sizing.arithmetic(experiment), jax.default_matmul_precision(precision):
      traced.lower().compile()

  def calls(task: Task, seeds: np.ndarray) -> list[Callable[[], None]]:
    if not seeds.size:
      return []
    with sizing.arithmetic(experiment):
      traced = sizing.programs(experiment, task, options.root_seed)
    return [functools.partial(compile_, each) for _, each in traced]

  items = list(zip(tasks, map(calls, tasks, absent), strict=True))
  yield from ahead.in_turn(items, threads=jax.local_device_count())


def _measured(
  experiment: Experiment,
  task: Task,
  options: Options,
  progress: Progress,
) -> dict[str, np.ndarray]:
  """Computes the missing seeds of one setting and reads all of them.

  Repeats only if a shard turns out to be corrupt.
  """
  while True:
    _complete(experiment, task, options, progress)
    with contextlib.suppress(store.MissingSeeds):
      return store.read(task.folder, options.seeds)


def _complete(
  experiment: Experiment,
  task: Task,
  options: Options,
  progress: Progress,
) -> None:
  """Runs the missing seeds of one setting until none is missing.

  Repeats only if another process, writing the same block at the same time, has
  replaced a shard by one without our seeds.
  """
  while (seeds := store.missing(task.folder, options.seeds)).size:
    progress(task.label, 0)
    with sizing.arithmetic(experiment):
      _fill(experiment, task, seeds, options, progress)


def _fill(
  experiment: Experiment,
  task: Task,
  seeds: np.ndarray,
  options: Options,
  progress: Progress,
) -> None:
  """Runs seeds and stores them, a chunk at a time."""
  if experiment.training:
    resume.fill(
      task.runner,
      experiment.training,
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
  config = task.config
  if experiment.compiled:
    config = parallel.traced(config)
  for chunk, result in parallel.results(
    task.runner, config, root_key, seeds, task.data
  ):
    store.write(task.folder, chunk, result)
    progress(task.label, len(chunk))


@functools.lru_cache(maxsize=_KEPT)
def _compiled(
  run: Callable[..., Any] | None,
  training: Training | None,
  digest: str,
  lanes: int,
  devices: tuple[Any, ...],
) -> parallel.Engine | parallel.Trainer:
  """The engine or trainer shared by settings that differ only in traced knobs.

  Compiles lazily. `digest` separates programs of the same functions, e.g. after
  a scheme was redefined.
  """
  del digest
  if training:
    return parallel.trainer(training, lanes=lanes, devices=devices)
  assert run
  return parallel.engine(run, lanes=lanes, devices=devices)
