"""The launcher's flags, as knobs: how a study runs."""

import pathlib
import re
import time

import numpy as np

from initlab import base, keys, published
from initlab.engine import partition, study
from initlab.experiment import config, knob
from initlab.launch import machine, parsing, workers
from initlab.report import tracking

# The most workers of one study; SLURM's own arrays are smaller.
_MOST_SHARDS = 2**16

# Flags that determine where files lie, not what is in them.
OF_FILES = ('out', 'compile_cache')

# Flags that determine where a study runs, not what it computes.
OF_WORKERS = ('num_shards', 'shard_index', 'launcher')
OF_WORKERS += ('slurm_partition', 'slurm_minutes', 'slurm_gpus', 'slurm_cpus')

# Flags of the report, not of the workers that compute what it shows.
OF_REPORTS = ('tensorboard', 'tracker', 'project', 'verbose', 'json')

# Flags that a collection passes to all its experiments.
SHARED = ('seeds', 'root_seed', 'lanes', 'devices', 'matmul_precision')
SHARED += ('checkpoint_every', 'out', 'data_dir', 'compile_cache')

# Flags of a collection that select what its page shows.
SELECTION = ('only', 'seeds', 'root_seed', 'matmul_precision')

# Flags of what a program prints and exports, of a collection, too.
PRINTED = ('verbose', 'json', 'dry_run', 'tracker', 'project')

_OF_PROCESSES = ('coordinator_address', 'num_processes', 'process_id')


def _address(value: str) -> str:
  if value != 'auto' and not re.fullmatch(r'.+:\d+', value):
    raise base.UserError('it takes host:port')
  return value


def _project(value: str) -> str:
  if not re.fullmatch(r'\w[\w.-]*', value, re.ASCII):
    raise base.UserError('it takes letters, digits, dots, dashes')
  return value


@config
class Common:
  """The flags of every program."""

  root_seed: int = knob(
    0,
    'the integer that all keys are derived from',
    least=0,
    most=keys.SEED_LIMIT - 1,
  )
  matmul_precision: str = knob(
    'highest',
    'precision of float32 matrix products (high and default are TF32 or '
    'bfloat16 on accelerators)',
    ('highest', 'high', 'default'),
  )
  out: pathlib.Path = knob(
    'results',
    'the folder of all results',
    read=lambda text: pathlib.Path(text).expanduser(),
  )
  compile_cache: str = knob(
    '~/.cache/initlab/xla',
    'cache of compiled programs, with a folder for each kind of processor; '
    'none disables it',
  )
  verbose: bool = knob(
    False, 'print the whole report, not just a screen: every table'
  )
  json: bool = knob(
    False,
    'print the outcome as JSON, and nothing else on stdout; progress and '
    'warnings go to stderr',
  )


@config
class Options(Common):
  """The launcher's flags."""

  seeds: np.ndarray = knob(
    '0:32',
    'the repetitions: 0:32 for thirty-two, 17 for a single one, 0:8,17,40:50',
    read=parsing.seeds,
  )
  lanes: int = knob(
    'auto',
    'the vmap width: how many seeds a device runs at once. 1 is bitwise '
    'reproducible on any number of devices; auto depends on backend, network '
    'size and device memory, never on a timing',
    read=parsing.natural(1, 'auto'),
  )
  devices: int = knob(
    'all',
    'how many devices to use; a CPU has one per core',
    read=parsing.natural(1, 'all'),
  )
  checkpoint_every: float = knob(
    60.0,
    'seconds between checkpoints of a training; a killed run loses at most '
    'that much, an interrupted one (Ctrl-C, SIGTERM) nothing',
    least=0,
  )
  data_dir: str = knob(
    'auto',
    'the folder of downloaded data sets; auto is $INITLAB_DATA_DIR if set, '
    f'otherwise {published.DATA_DIR}',
    read=lambda text: published.default_data_dir() if text == 'auto' else text,
  )
  num_shards: int = knob(
    1,
    'how many workers share the seeds of every setting. Each is a process on '
    'any machine that can access the folder --out; all should have the same '
    'kind of device',
    least=1,
    most=_MOST_SHARDS,
  )
  shard_index: int | None = knob(
    'none',
    'compute only the share of this worker, counted from 0, and print no '
    'report: for SLURM job arrays ($SLURM_ARRAY_TASK_ID), Kubernetes indexed '
    'jobs ($JOB_COMPLETION_INDEX) and GNU parallel. The same command without '
    'it computes missing seeds and prints the report',
    read=parsing.natural(0, 'none', instead=None),
  )
  launcher: str = knob(
    'none',
    'start --num_shards workers, wait for them and print the report. slurm '
    'submits jobs (pip install initlab[slurm]), local starts processes on this '
    'machine, ray uses a Ray cluster or this machine (pip install '
    'initlab[ray]) with one GPU per worker if there are GPUs',
    ('none', 'slurm', 'local', 'ray'),
  )
  slurm_partition: str = knob('default', 'with --launcher=slurm: the partition')
  slurm_minutes: int = knob(
    240,
    'with --launcher=slurm: the time limit of a job; the same command then '
    'resumes from its checkpoints',
    least=1,
  )
  slurm_gpus: int = knob(0, 'with --launcher=slurm: GPUs per job', least=0)
  slurm_cpus: int = knob(2, 'with --launcher=slurm: cores per job', least=1)
  coordinator_address: str = knob(
    'auto',
    'with --distributed: host:port of process 0; auto lets JAX detect it, on '
    'TPU pods and under SLURM',
    read=_address,
  )
  num_processes: int | None = knob(
    'auto',
    'with --distributed: the number of processes',
    read=parsing.natural(1, 'auto', instead=None),
  )
  process_id: int | None = knob(
    'auto',
    'with --distributed: the index of this process, from 0',
    read=parsing.natural(0, 'auto', instead=None),
  )
  tensorboard: bool = knob(
    False,
    'also write learning curves, mean and interval over seeds, as TensorBoard '
    'event files (pip install initlab[tensorboard])',
  )
  tracker: str = knob(
    'none',
    'also export means, intervals and verdicts to a tracker with the API of '
    'wandb, one run a setting, or of a collection one a chapter: trackio, '
    'which is local (pip install initlab[trackio]), or wandb',
    ('none', *tracking.TRACKERS),
  )
  project: str = knob(
    'initlab', "with --tracker: the tracker's project", read=_project
  )
  dry_run: bool = knob(
    False,
    'print the plan, by setting and by worker, with memory and FLOP, and run '
    'nothing',
  )
  distributed: bool = knob(
    False,
    'run as one process of a multi-host program (jax.distributed): each '
    'process computes its share on its own devices, and process 0 prints the '
    'report when all are done. Only for platforms that require it (TPU pods): '
    'if one process dies, all end',
  )

  def check(self) -> None:
    """Refuses flags that contradict each other."""
    index, count = self.shard_index, self.num_shards
    if index is not None:
      if index >= count:
        raise base.UserError(
          f'--shard_index={index}: with --num_shards={count} it is from 0 to '
          f'{count - 1}'
        )
      if self.launcher != 'none':
        raise base.UserError(
          f'--launcher={self.launcher} starts all workers itself: leave out '
          '--shard_index'
        )
    if self.distributed:
      self._check_processes()

  def _check_processes(self) -> None:
    shared = self.num_shards > 1 or self.shard_index is not None
    if shared or self.launcher != 'none':
      raise base.UserError(
        '--distributed splits the seeds over its processes itself: leave out '
        '--num_shards, --shard_index and --launcher'
      )
    values = [getattr(self, name) for name in _OF_PROCESSES]
    given = [value not in (None, 'auto') for value in values]
    if any(given) and not all(given):
      first = given.index(True)
      names = ', '.join(f'--{name}' for name in _OF_PROCESSES)
      raise base.UserError(
        f'--{_OF_PROCESSES[first]}={values[first]}: {names} must be given '
        'together'
      )
    _, count, index = self.processes()
    if index is not None and count is not None and index >= count:
      raise base.UserError(
        f'--process_id={index}: with --num_processes={count} it is from 0 to '
        f'{count - 1}'
      )

  def processes(self) -> tuple[str | None, int | None, int | None]:
    """Address, number and id for `workers.joined`; None if JAX detects them."""
    address = self.coordinator_address
    known = None if address == 'auto' else address
    return known, self.num_processes, self.process_id

  def worker(self) -> partition.Worker | None:
    """Which worker this is; None for a run without workers."""
    if self.shard_index is None:
      return None
    return partition.Worker(self.shard_index, self.num_shards)

  def job(self) -> workers.Job:
    """The resources of a SLURM job."""
    partition = self.slurm_partition
    return workers.Job(
      partition='' if partition == 'default' else partition,
      minutes=self.slurm_minutes,
      gpus=self.slurm_gpus,
      cpus=self.slurm_cpus,
    )

  def of_study(self, command: str) -> study.Options:
    """The options of the engine.

    Args:
      command: the command line that repeats this study.
    """
    return study.Options(
      seeds=self.seeds,
      root_seed=self.root_seed,
      lanes=self.lanes,
      devices=self.devices,
      matmul_precision=self.matmul_precision,
      out=self.out,
      data_dir=self.data_dir,
      command=command,
      checkpoint_every=self.checkpoint_every,
      clock=time.monotonic,
      uninterrupted=machine.uninterrupted,
      tensorboard=self.tensorboard,
      from_files=machine.from_files(),
    )
