"""Process-wide settings: JAX configuration, CPU cores, signals."""

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

import jax


def cores() -> int:
  """CPU cores that this process may use; all of them if that is unknown."""
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count() or 1


def configure(matmul_precision: str, compile_cache: str) -> None:
  """Configures JAX; call it before the first use of a device."""
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
  """A name for the processor's instruction set.

  A compiled program may contain instructions that another CPU lacks, and JAX's
  cache does not check. Machines that share a home therefore use separate caches
  by processor.
  """
  try:
    text = pathlib.Path('/proc/cpuinfo').read_text('utf-8')
  except OSError:
    text = platform.processor()
  features = re.search(r'^(?:flags|Features)\b.*$', text, re.MULTILINE)
  text = features[0] if features else text
  digest = hashlib.sha256(text.encode()).hexdigest()
  return f'{platform.machine()}-{digest[:8]}'


def from_files() -> bool:
  """Whether this process runs a script, not an interactive session."""
  typed = hasattr(sys, 'ps1') or hasattr(builtins, '__IPYTHON__')
  return hasattr(sys.modules['__main__'], '__file__') and not (
    typed or sys.flags.interactive
  )


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
  """Context manager that defers SIGINT and SIGTERM until it exits.

  Then, or at a second signal at once, it raises KeyboardInterrupt. Ignored
  signals stay ignored.
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
