"""The laboratory's strictest settings, for every test.

Two CPU devices, so that what must hold across devices can be tested anywhere;
typed promotion and the key-reuse checker, so that sloppiness is an error.
"""

import jax
import pytest

jax.config.update('jax_platforms', 'cpu')
jax.config.update('jax_num_cpu_devices', 2)
jax.config.update('jax_debug_key_reuse', True)
jax.config.update('jax_numpy_dtype_promotion', 'strict')
jax.config.update('jax_numpy_rank_promotion', 'raise')
jax.config.update('jax_default_matmul_precision', 'highest')
jax.config.update('jax_threefry_partitionable', True)


@pytest.fixture(autouse=True, scope='module')
def programs_of_one_file():
  """No file runs what another compiled, so a worker need not keep it."""
  yield
  jax.clear_caches()
