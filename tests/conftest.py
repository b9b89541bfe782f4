"""The laboratory's strictest settings, for every test.

Two CPU devices, so that what must hold across devices can be tested anywhere;
typed promotion and the key-reuse checker, so that sloppiness is an error.
The suite compiles more than it computes: XLA optimizes only in `slow` runs, and
in files marked `bits`. A second run takes compiled programs from pytest's cache
folder.
"""

import os

import jax
import pytest

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_debug_key_reuse', True)
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_default_matmul_precision', 'highest')
jax.config.update('jax_threefry_partitionable', True)
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0)
jax.config.update('jax_persistent_cache_min_entry_size_bytes', -1)


def pytest_configure(config):
  """A folder per worker: JAX's cache does not expect two to write one file."""
  if not config.pluginmanager.hasplugin('cacheprovider'):
    return
  worker = os.environ.get('PYTEST_XDIST_WORKER', 'alone')
  folder = config.cache.mkdir(f'compiled-{worker}')
  jax.config.update('jax_compilation_cache_dir', str(folder))


@pytest.fixture(autouse=True, scope='module')
def programs_of_one_file(request):
  """No file runs what another compiled, so a worker need not keep it."""
  slow = 'not slow' not in request.config.option.markexpr
  quick = not slow and not request.node.get_closest_marker('bits')
  jax.config.update('jax_disable_most_optimizations', quick)
  # Programs that tests start read it there.
  os.environ['JAX_DISABLE_MOST_OPTIMIZATIONS'] = str(int(quick))
  yield
  jax.clear_caches()
