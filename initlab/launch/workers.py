"""Starts workers in other processes and on other machines, and waits for them.

Seeds are independent, so every worker runs the same program on its share of
them, see `study.work`.
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
from initlab.engine import partition

# Seconds that the processes of a distributed run wait for each other: 30 days.
_PATIENCE = 30 * 24 * 3600

# Seconds between polls of the jobs.
_POLL = {'slurm': 10.0, 'local': 0.5}

# How often a share is rescheduled after its worker died.
_RETRIES = 3

# `(index, line)`: callback for a finished worker, with its last line.
Done = Callable[[int, str], None]


class Command(NamedTuple):
  """A command line, `python <program> <flags>`."""

  program: tuple[str, ...]
  flags: list[str]


class Job(NamedTuple):
  """The resources of a SLURM job.

  partition: '' for the cluster's default.
  minutes: the time limit.
  gpus: the number of GPUs.
  cpus: the number of cores; without a GPU, seeds are split over them.
  """

  partition: str
  minutes: int
  gpus: int
  cpus: int


# One program over hosts.


@contextlib.contextmanager
def joined(
  address: str | None, num_processes: int | None, process_id: int | None
) -> Iterator[partition.Worker]:
  """Joins the processes of a multi-host program, before the first use of JAX.

  The context exits in all processes together, when the slowest is done; devices
  stay usable afterwards. A process that fails or is interrupted exits at once,
  and JAX then stops the others.

  Args:
    address: `host:port` of process 0. This and the others are None where JAX
      detects them: on TPU pods, under SLURM, Open MPI and others.
    num_processes: the number of processes.
    process_id: the index of this one, from 0.

  Yields:
    This process as a worker.

  Raises:
    UserError: JAX cannot join the processes.
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
    yield partition.Worker(jax.process_index(), jax.process_count())
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
  """Runs workers as jobs, waits for them, then runs the report as a job.

  The report must run on the same kind of device, because the device kind is
  part of the identity of the results.

  Args:
    launcher: 'slurm', or 'local' for processes on this machine.
    workers: one per share.
    report: prints the report, and computes seeds that workers have lost.
    folder: for the jobs' logs.
    job: the resources of each.
    done: called for every worker that is done.

  Returns:
    The output of the report.

  Raises:
    UserError: submitit is not installed, SLURM is not available, or a job
      failed. All other jobs have then ended, and their results are stored.
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
  """Runs workers on a Ray cluster, or on this machine if there is none.

  Each worker gets one GPU if the cluster has GPUs, otherwise an even share of
  its CPUs. The share of a worker that dies is rescheduled.

  Args:
    workers: one per share.
    report: prints the report, and computes seeds that workers have lost.
    done: called for every worker that is done.

  Returns:
    The output of the report.

  Raises:
    UserError: Ray is not installed or cannot be reached, a worker failed, or
      the workers of one share keep dying.
  """
  os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')
  ray = _imported('ray', 'ray')
  with contextlib.redirect_stdout(sys.stderr):  # Ray's own messages
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
    output, failure = _ray_result(ray, first)
    failures += [f'shard {index}: {failure}'] if failure else []
    done(index, failure or output)
  _refuse('ray', failures, '')
  output, failure = _ray_result(ray, start(report))
  _refuse('ray', [f'the report: {failure}'] if failure else [], '')
  return output


def _ray_share(
  nodes: Sequence[dict[str, float]], count: int
) -> tuple[dict[str, float], list[str]]:
  """The Ray resources of one of `count` workers, and its device flags."""
  if any(node.get('GPU', 0) >= 1 for node in nodes):
    return {'num_gpus': 1, 'num_cpus': 1}, ['--devices=1']
  cpus = [int(node.get('CPU', 0)) for node in nodes]
  share = max(1, min(sum(cpus) // count, max(cpus)))
  return {'num_cpus': share}, [f'--devices={share}']


def _ray_result(ray: Any, reference: Any) -> tuple[str, str]:
  """A worker's output and its error, '' for none."""
  try:
    status, output, errors = ray.get(reference)
  except ray.exceptions.RayError as error:
    return '', _reason(error)
  return output, _reason(RuntimeError(errors)) if status else ''


def _run(
  program: tuple[str, ...], flags: list[str], folder: str
) -> tuple[int, str, str]:
  """Runs a program in this process: exit status, output, errors."""
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
  """The program's own error message, or the last line of the text."""
  lines = [line for line in str(error).splitlines() if line.strip(' -')]
  ours = [line for line in lines if ': error: ' in line]
  return (ours or lines or [type(error).__name__])[-1].strip()


def _refuse(launcher: str, failures: Sequence[str], where: str) -> None:
  if failures:
    more = f' (and {len(failures) - 1} more)' if len(failures) > 1 else ''
    raise base.UserError(
      f'--launcher={launcher}: {failures[0]}{more}{where}; finished seeds are '
      'saved, and the same command resumes from there'
    )


def _imported(package: str, extra: str) -> Any:
  try:
    return importlib.import_module(package)
  except ImportError as error:
    raise base.UserError(
      f'--launcher needs {package}: pip install initlab[{extra}]'
    ) from error
