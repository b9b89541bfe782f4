"""Workers on other processes and machines, by engines that others have built.

Seeds share nothing, so every worker is a run of the same program that computes
its share of them. This module starts workers and waits for them; what they do
is in `study`.
"""

import atexit
from collections.abc import Iterator
import contextlib
import os
import sys

import jax

from initlab import base, study

# Seconds that the processes of a distributed run wait for the slowest: a month.
_PATIENCE = 30 * 24 * 3600


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
