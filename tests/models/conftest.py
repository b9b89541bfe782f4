"""Other people's models are written for JAX's own defaults."""

import jax
import pytest


@pytest.fixture(autouse=True)
def default_promotion():
  """Ranks and dtypes are promoted as JAX does unless told otherwise."""
  with (
    jax.numpy_rank_promotion('allow'),
    jax.numpy_dtype_promotion('standard'),
  ):
    yield
