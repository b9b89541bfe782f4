"""Models by name: their contract, and what an audit makes of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import base, keys
from initlab.models import audit, examples, made, model


def toy(width=3):
  """A linear model of fresh examples, its loss and its error."""
  init = lambda key: {'w': jax.random.normal(key, (2, width))}
  draw = lambda key, size: jax.random.normal(key, (size, 2))
  return init, lambda params, x: (jnp.mean((x @ params['w']) ** 2), 0.5), draw


@pytest.mark.parametrize(
  ('text', 'canonical'),
  [
    ('transformer', 'transformer'),
    ('convnet:width=4:blocks=1', 'convnet:blocks=1:width=4'),
    (f'{__name__}:toy', f'{__name__}.toy'),
    (f'{__name__}:toy:width=5', f'{__name__}.toy:width=5'),
    (f'{__name__}.toy:width=5', f'{__name__}.toy:width=5'),
  ],
)
def test_a_name_has_one_form(text, canonical):
  assert made.named(text) == made.named(canonical) == canonical


def test_a_model_is_made_once_a_study():
  first = made.make(f'{__name__}:toy:width=5')
  assert made.make(f'{__name__}.toy:width=5') is first
  assert first.params['w'].shape == (2, 5)
  assert made.named(toy) is toy
  assert made.make(f'{__name__}.toy:width=5') is not first


def test_a_function_draws_the_same_sixteen_examples():
  _, _, draw = toy()
  (x,), (again,) = model.batch_of(draw), model.batch_of(draw)
  np.testing.assert_array_equal(x, again)
  assert x.shape == (16, 2)


@pytest.mark.slow
def test_what_a_function_draws_is_audited():
  """The same as of those examples, in an array."""
  init, loss, draw = toy()
  (x,) = model.batch_of(draw)
  drawn, given = (
    audit.audit(init, loss, batch, seeds=2) for batch in (draw, x)
  )
  assert drawn.scalar
  for name, values in given.measured.items():
    np.testing.assert_array_equal(values, drawn.measured[name])


@pytest.mark.parametrize(
  ('text', 'said'),
  [
    ('transformer:blocks=1.5', 'blocks of a transformer is 1.5: it takes a wh'),
    ('transformer:width=abc', "width of a transformer is 'abc'"),
    ('transformer:heads=5', 'a width of 32 is no multiple of 5 heads'),
    ('transformer:symbols=2', 'symbols is 2: it takes a whole number, at leas'),
    ('convnet:classes=0', 'classes of a ConvNet is 0'),
    ('convnet:widht=4', "no knob 'widht', did you mean 'width'"),
    ('convnet:width', "'width' in 'convnet:width' is not a knob and its value"),
  ],
)
def test_a_bad_knob_is_named_with_its_value_and_what_is_allowed(text, said):
  with pytest.raises(base.UserError, match=said):
    made.make(text)


def test_the_convolution_is_seen():
  assert made.make('convnet').convolves
  assert not made.make(toy).convolves


def test_a_function_that_cannot_be_a_knob_is_refused():
  class Unhashable:
    __hash__ = None

    def __call__(self):
      return toy()

  with pytest.raises(base.UserError, match='cannot be hashed'):
    made.named(Unhashable())


def test_gratings_are_balanced_and_no_mean_image_tells_them():
  """Every mean is one of 2000 images of standard deviation sqrt(1.5).

  Their standard error is 0.0274; of 256 pixels the farthest is within 4.9 of
  it, but for one run in 4000.
  """
  draw = jax.jit(examples.gratings, static_argnums=(1, 2))
  x, y = draw(keys.root(0), 8000, 4)
  assert x.shape == (8000, 8, 8, 1) and sorted(set(y.tolist())) == [0, 1, 2, 3]
  means = [np.mean(x[y == label], axis=0) for label in range(4)]
  assert np.max(np.abs(means)) < 4.9 * np.sqrt(1.5 / 1900)
  assert np.std(x) == pytest.approx(np.sqrt(1.5), rel=0.01)
