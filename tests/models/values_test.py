"""What windows of a convolution hold, against a convolution with ones."""

from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab.models import geometry, program, values

_RNG = np.random.default_rng(0)
_DILATED = {'lhs_dilation': (2, 3), 'padding': ((1, 2), (0, -1))}
_PLAIN = {'window_strides': (1, 1), 'padding': 'SAME'}


@pytest.mark.parametrize(
  ('x', 'w', 'options', 'even'),
  [
    ((2, 4, 6, 5), (3, 4, 3, 3), _PLAIN, False),
    ((2, 4, 6, 5), (3, 4, 1, 1), _PLAIN, True),
    ((2, 4, 6, 6), (3, 4, 2, 3), {'window_strides': (2, 3)}, True),
    ((2, 4, 6, 5), (3, 4, 1, 1), {'window_strides': (2, 2)}, False),
    ((2, 4, 6, 5), (3, 4, 2, 3), {'rhs_dilation': (2, 1)}, False),
    ((2, 4, 6, 5), (3, 4, 3, 3), _DILATED, False),
    ((2, 4, 6, 5), (6, 2, 3, 3), {'feature_group_count': 2}, False),
    ((4, 2, 6, 5), (6, 2, 3, 3), {'batch_group_count': 2}, False),
  ],
)
def test_windows_hold_what_a_convolution_with_ones_adds(x, w, options, even):
  """Sums of at most 240 numbers: float32 rounds them by 240 2^-24 at most."""
  options = {'window_strides': (1, 1), 'padding': 'VALID'} | options
  convolve = lambda x, w: lax.conv_general_dilated(x, w, **options)
  data = jnp.float32(_RNG.standard_normal(x))
  found, _, _ = program.trace(convolve, data, jnp.ones(w))
  (operation,) = found.flat()
  windows = geometry.windows(operation)
  sums = convolve(jnp.square(data), jnp.ones(w))
  own = values.windowed(windows, data)
  np.testing.assert_allclose(np.mean(np.square(own)), np.mean(sums), rtol=2e-5)
  assert windows.even == even
  if even:
    square = np.prod(w[1:]) * np.mean(np.square(data))
    np.testing.assert_allclose(square, np.mean(sums), rtol=2e-5)
