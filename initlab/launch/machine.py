"""The machine a program runs on: JAX's settings, cores, signals."""

import builtins
from collections.abc import Iterator
import contextlib
import hashlib
import os
import pathlib
import platform
import re
import signal
import sys
import threading
from typing import Any
import warnings

import jax
import jaxlib

# jaxlib versions whose CPU LAPACK calls deadlock under vmap, unless the thread
# pool is larger than the number of calls.
_DEADLOCKING = re.compile(r'0\.10\.|0\.11\.0$')


# The machine.


def cores() -> int:
  """How many cores this process may use, where the system tells; else all."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def configure(matmul_precision: str, compile_cache: str) -> None:
  """Sets what decides the bits, before the first device is touched."""
  if _DEADLOCKING.match(jaxlib.__version__) and 'NPROC' not in os.environ:
    os.environ['NPROC'] = '16'
    warnings.warn(
      f'jaxlib {jaxlib.__version__} deadlocks on CPUs in vmapped linear '
      'algebra; a larger thread pool (NPROC=16) avoids that, another version '
      'is better',
      stacklevel=2,
    )
  jax.config.update('jax_default_prng_impl', 'threefry2x32')
  jax.config.update('jax_threefry_partitionable', True)
  jax.config.update('jax_default_matmul_precision', matmul_precision)
  with contextlib.suppress(RuntimeError):  # once a backend is up, it stays
    jax.config.update('jax_num_cpu_devices', cores())
  keep = compile_cache != 'none'
  jax.config.update('jax_enable_compilation_cache', keep)
  if keep:
    folder = pathlib.Path(compile_cache).expanduser() / _processor()
    jax.config.update('jax_compilation_cache_dir', str(folder))
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


def _processor() -> str:
  """A name for what the processor can do.

  Programs compiled for a CPU may hold instructions that another lacks, and JAX
  does not ask: where machines share a home, each kind has a cache of its own.
  """
  try:
    told = pathlib.Path('/proc/cpuinfo').read_text('utf-8')
  except OSError:
    told = platform.processor()
  features = re.search(r'^(?:flags|Features)\b.*$', told, re.MULTILINE)
  text = features[0] if features else told
  digest = hashlib.sha256(text.encode()).hexdigest()
  return f'{platform.machine()}-{digest[:8]}'


def from_files() -> bool:
  """Whether a file has started this process, and nobody types into it."""
  typed = hasattr(sys, 'ps1') or hasattr(builtins, '__IPYTHON__')
  return hasattr(sys.modules['__main__'], '__file__') and not (
    typed or sys.flags.interactive
  )


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
  """Ctrl-C and SIGTERM wait for the end of this context; a second does not.

  Both then raise KeyboardInterrupt. What the process ignores it still ignores.
  """
  asked = []

  def handler(number: int, frame: Any) -> None:
    del frame
    if asked:
      raise KeyboardInterrupt
    asked.append(number)

  main = threading.current_thread() is threading.main_thread()
  heeded = [
    number
    for number in (signal.SIGINT, signal.SIGTERM)
    if main and signal.getsignal(number) not in (signal.SIG_IGN, None)
  ]
  before = {number: signal.signal(number, handler) for number in heeded}
  try:
    yield
  finally:
    for number, old in before.items():
      signal.signal(number, old)
  if asked:
    raise KeyboardInterrupt
