"""Workers on other processes and machines, by engines that others have built.

Seeds share nothing, so every worker is a run of the same program that computes
its share of them. This module starts workers and waits for them; what they do
is in `study`.
"""

import atexit
from collections.abc import Callable, Iterator, Sequence
import contextlib
import importlib
import io
import os
import pathlib
import runpy
import sys
from typing import Any, NamedTuple

import jax

from initlab import base
from initlab.engine import study

# Seconds that the processes of a distributed run wait for the slowest: a month.
_PATIENCE = 30 * 24 * 3600

# Seconds from one look at the jobs to the next.
_POLL = {'slurm': 10.0, 'local': 0.5}

# How often a share is given to another worker after one that died.
_RETRIES = 3

# `(index, line)`: the worker of that share is done, and said this.
Done = Callable[[int, str], None]


class Command(NamedTuple):
  """A command line, `python <program> <flags>`."""

  program: tuple[str, ...]
  flags: list[str]


class Job(NamedTuple):
  """What each job asks SLURM for.

  partition: '' for the cluster's default.
  minutes: after which it is stopped.
  gpus: how many.
  cpus: how many cores; on a CPU, seeds are spread over these.
  """

  partition: str
  minutes: int
  gpus: int
  cpus: int


# One program over hosts.


@contextlib.contextmanager
def joined(
  address: str | None, num_processes: int | None, process_id: int | None
) -> Iterator[study.Shard]:
  """Joins the processes of one program, before any device is touched.

  All of them leave together: the context ends when the slowest is at its end,
  and devices stay usable after that. A process that fails or is interrupted
  waits for nobody; JAX then stops the others.

  Args:
    address: `host:port` of process 0. This and the others are None where JAX
      finds them out: on TPU pods, under SLURM, Open MPI and the like.
    num_processes: of the program.
    process_id: of this one, from 0.

  Yields:
    This process's share.

  Raises:
    UserError: there is nothing to join.
  """
  try:
    jax.distributed.initialize(
      address,
      num_processes,
      process_id,
      shutdown_timeout_seconds=_PATIENCE,
    )
  except (ValueError, RuntimeError) as error:
    raise base.UserError(f'--distributed: {error}') from error
  try:
    yield study.Shard(jax.process_index(), jax.process_count())
  except BaseException as error:
    status = 130 if isinstance(error, KeyboardInterrupt) else 1
    atexit.register(_exit_at_once, status)
    raise
  jax.distributed.shutdown()


def _exit_at_once(status: int) -> None:
  """Keeps JAX's own exit from waiting for the other processes."""
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(status)


# Jobs.


def submit(
  launcher: str,
  workers: Sequence[Command],
  report: Command,
  folder: pathlib.Path,
  job: Job,
  done: Done,
) -> str:
  """Runs workers as jobs, waits for them, then runs the report as one more.

  The report is a job, too, because only there are the devices that decide which
  results are meant.

  Args:
    launcher: 'slurm', or 'local' for processes of this machine.
    workers: one a share.
    report: prints it, and computes what a worker may have lost.
    folder: for the jobs' logs.
    job: what each asks for.
    done: told of every worker.

  Returns:
    What the report printed.

  Raises:
    UserError: submitit is not installed, there is no SLURM here, or a job
      failed; all others have then ended, and what they did is on disk.
  """
  submitit = _imported('submitit', 'slurm')
  from submitit.helpers import as_completed

  try:
    executor = submitit.AutoExecutor(folder=folder, cluster=launcher)
    executor.update_parameters(
      name='initlab',
      timeout_min=job.minutes,
      cpus_per_task=job.cpus,
      gpus_per_node=job.gpus,
      **({'slurm_partition': job.partition} if job.partition else {}),
    )
    with executor.batch():
      jobs = [executor.submit(_function(each)) for each in workers]
  except (RuntimeError, OSError) as error:
    raise base.UserError(f'--launcher={launcher}: {error}') from error
  wait = lambda some: as_completed(some, poll_frequency=_POLL[launcher])
  failures = []
  try:
    for each in wait(jobs):
      index, error = jobs.index(each), each.exception()
      if error:
        failures.append(f'shard {index} (job {each.job_id}): {_reason(error)}')
      done(index, failures[-1] if error else each.result())
    _refuse(launcher, failures, f'; logs are in {folder}')
    jobs = [executor.submit(_function(report))]
    (last,) = wait(jobs)
    error = last.exception()
    _refuse(launcher, [f'the report: {_reason(error)}'] if error else [], '')
    return last.result()
  except KeyboardInterrupt:
    for each in jobs:
      each.cancel()
    raise


def on_ray(workers: Sequence[Command], report: Command, done: Done) -> str:
  """Runs workers on a Ray cluster, or on this machine where there is none.

  Each has one GPU to itself where the cluster has any, and otherwise an even
  share of its CPUs. The share of one that dies is given to another.

  Args:
    workers: one a share.
    report: prints it, and computes what a worker may have lost.
    done: told of every worker.

  Returns:
    What the report printed.

  Raises:
    UserError: Ray is not installed or cannot be reached, a worker failed, or
      one share's workers keep dying.
  """
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  ray = _imported('ray', 'ray')
  with contextlib.redirect_stdout(sys.stderr):  # what Ray has to say
    try:
      ray.init(include_dashboard=False, log_to_driver=False, logging_level=40)
    except (ConnectionError, RuntimeError, ValueError) as error:
      raise base.UserError(f'--launcher=ray: {error}') from error
    try:
      return _on_ray(ray, workers, report, done)
    finally:
      ray.shutdown()


def _on_ray(
  ray: Any, workers: Sequence[Command], report: Command, done: Done
) -> str:
  nodes = [node['Resources'] for node in ray.nodes() if node['Alive']]
  needs, flags = _ray_share(nodes, len(workers))
  task = ray.remote(max_retries=_RETRIES, max_calls=1, **needs)(_run)
  start = lambda command: task.remote(
    command.program, [*flags, *command.flags], os.getcwd()
  )
  places = {start(each): index for index, each in enumerate(workers)}
  failures = []
  while places:
    (first,), _ = ray.wait(list(places), num_returns=1)
    index = places.pop(first)
    told, failure = _ray_result(ray, first)
    failures += [f'shard {index}: {failure}'] if failure else []
    done(index, failure or told)
  _refuse('ray', failures, '')
  told, failure = _ray_result(ray, start(report))
  _refuse('ray', [f'the report: {failure}'] if failure else [], '')
  return told


def _ray_share(
  nodes: Sequence[dict[str, float]], count: int
) -> tuple[dict[str, float], list[str]]:
  """What one of so many workers asks Ray for, and the flags that say so."""
  if any(node.get('GPU', 0) >= 1 for node in nodes):
    return {'num_gpus': 1, 'num_cpus': 1}, ['--devices=1']
  cpus = [int(node.get('CPU', 0)) for node in nodes]
  share = max(1, min(sum(cpus) // count, max(cpus)))
  return {'num_cpus': share}, [f'--devices={share}']


def _ray_result(ray: Any, reference: Any) -> tuple[str, str]:
  """What a worker printed, and its error, empty where there was none."""
  try:
    status, told, errors = ray.get(reference)
  except ray.exceptions.RayError as error:
    return '', _reason(error)
  return told, _reason(RuntimeError(errors)) if status else ''


def _run(
  program: tuple[str, ...], flags: list[str], folder: str
) -> tuple[int, str, str]:
  """`python` in this process: exit status, output, errors."""
  os.chdir(folder)
  sys.path.insert(0, folder)
  sys.argv = [program[-1], *flags]
  out, errors = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
    try:
      if program[0] == '-m':
        runpy.run_module(program[1], run_name='__main__')
      else:
        runpy.run_path(program[0], run_name='__main__')
      status = 0
    except SystemExit as exit_:
      status = int(exit_.code or 0)
  return status, out.getvalue().strip(), errors.getvalue()


def _function(command: Command) -> Any:
  from submitit.helpers import CommandFunction

  words = [sys.executable, *command.program, *command.flags]
  return CommandFunction(words, cwd=os.getcwd())


def _reason(error: BaseException) -> str:
  """The program's own line about an error, or else the last of all."""
  lines = [line for line in str(error).splitlines() if line.strip(' -')]
  told = [line for line in lines if ': error: ' in line]
  return (told or lines or [type(error).__name__])[-1].strip()


def _refuse(launcher: str, failures: Sequence[str], where: str) -> None:
  if failures:
    more = f' (and {len(failures) - 1} more)' if len(failures) > 1 else ''
    raise base.UserError(
      f'--launcher={launcher}: {failures[0]}{more}{where}; what was finished '
      'is saved, and the same command goes on from there'
    )


def _imported(package: str, extra: str) -> Any:
  try:
    return importlib.import_module(package)
  except ImportError as error:
    raise base.UserError(
      f'--launcher needs {package}: pip install initlab[{extra}]'
    ) from error
