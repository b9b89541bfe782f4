"""Names of functions: texts, dotted paths, and what is said of a wrong one."""

import functools
import math
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import activations, base, functions, initializers, keys, schemes
from initlab.engine import identity
from initlab.experiment import written
from initlab.instruments import variance

_INITS = """
import jax
import jax.numpy as jnp

SIZE = 1.0


def spread(gain=1.0, power=1):
  def init(key, shape, dtype=jnp.float32):
    return gain * jax.random.laplace(key, shape, dtype) / shape[0] ** power
  return init


def plain(key, shape, dtype=jnp.float32, scale=1.0):
  return scale * jax.random.normal(key, shape, dtype)


def short(key, shape, dtype=jnp.float32):
  return jnp.zeros(3, dtype)


def required(low):
  return plain


def number(gain=1.0):
  return gain


def mish(x, sharpness=1.0):
  return x * jnp.tanh(jax.nn.softplus(sharpness * x))


def total(x):
  return x.sum()
"""


@pytest.fixture(autouse=True)
def lab(tmp_path, monkeypatch):
  """A package of somebody's, `mylab`, in a folder that is searched."""
  folder = tmp_path / 'mylab'
  folder.mkdir()
  (folder / '__init__.py').touch()
  (folder / 'inits.py').write_text(_INITS)
  (folder / 'broken.py').write_text('1 / 0')
  monkeypatch.syspath_prepend(tmp_path)
  yield
  for name in [each for each in sys.modules if each.startswith('mylab')]:
    del sys.modules[name]


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('glorto', "did you mean 'glorot'.* or the dotted path of a function"),
    ('normal:sdt=1', "no knob 'sdt', did you mean 'std'. It has: std"),
    ('selu:gain=2', "selu has no knob 'gain'. It has: none"),
    ('normal:0.05', "'0.05' in 'normal:0.05' is not a knob and its value"),
    ('normal:std=1:std=2', 'sets std twice'),
    ('normal:std=nan', 'std=nan: it takes a finite number'),
    ('normal:std=-1', 'std must be finite and at least 0'),
    ('normal:std=small', "std 'small' is not a number"),
    ('sparse:nonzeros=1.5', 'nonzeros must be a whole number'),
    ('yourlab.inits.spread', "there is no module 'yourlab.inits'"),
    ('mylab.init.spread', "'mylab' has no 'init', did you mean 'inits'"),
    ('mylab.inits.spraed', "'mylab.inits' has no 'spraed', did you mean"),
    ('mylab.inits.SIZE', 'is not a function, but of type float'),
    ('mylab.broken.init', 'mylab.broken fails to import: ZeroDivisionError'),
    ('mylab..spread', 'is not a dotted path'),
    ('mylab.inits.spread:std=1', "no knob 'std'.* It has: gain, power"),
    ('mylab.inits.required', "missing a required argument: 'low'"),
    ('mylab.inits.number', 'returns no initializer .*, but an object of type'),
  ],
)
def test_a_wrong_initializer_is_one_clear_sentence(text, told):
  with pytest.raises(base.UserError, match=f'^--init=.*{told}'):
    functions.imported('mylab.inits.spread')
    variance.Config(init=text)


@pytest.mark.parametrize(
  ('text', 'told'),
  [
    ('tahn', "did you mean 'tanh'.* or the dotted path of a function"),
    ('prelu:slop=1', "no knob 'slop', did you mean 'slope'"),
    ('mylab.inits.total', 'is not elementwise: for an array of shape'),
    ('mylab.inits.plain', 'is not an activation of one array: TypeError'),
  ],
)
def test_a_wrong_activation_is_one_clear_sentence(text, told):
  with pytest.raises(base.UserError, match=f'^--activation=.*{told}'):
    variance.Config(activation=text)


def test_an_initializer_that_returns_another_shape_is_refused():
  scheme = schemes.resolve('mylab.inits.short')
  with pytest.raises(base.UserError, match=r'shape \(3,\) instead of \(4, 2\)'):
    scheme.make()(keys.root(0), (4, 2))


def test_knobs_of_a_name_set_those_of_the_scheme():
  w = schemes.resolve('sparse:std=2:nonzeros=3').make()(keys.root(0), (20, 4))
  same = initializers.sparse(nonzeros=3, std=2.0)(keys.root(0), (20, 4))
  chex.assert_trees_all_equal(w, same)
  scheme = schemes.resolve('he:gain=3', 'uniform')
  assert scheme.law(9, 4) == base.Law('uniform', 1.0)
  assert scheme.knobs == ()


def test_a_text_is_written_in_one_way():
  config = variance.Config(
    init='sparse:std=2:nonzeros=10', activation='prelu:slope=.1'
  )
  assert config.init == 'sparse:nonzeros=10:std=2.0'
  assert config.activation == 'prelu:slope=0.1'
  assert variance.Config(init='normal') != variance.Config(
    init='normal:std=.01'
  )
  same = variance.Config(init='mylab.inits.spread:power=2:gain=1')
  assert same.init == 'mylab.inits.spread:gain=1.0:power=2'


def test_factories_and_initializers_of_anybody_draw():
  key, shape = jax.random.PRNGKey(3), (20, 4)
  factory = schemes.resolve('mylab.inits.spread:gain=2').make()
  spread = functions.imported('mylab.inits.spread')
  chex.assert_trees_all_equal(factory(key, shape), spread(2.0)(key, shape))
  direct = schemes.resolve('mylab.inits.plain:scale=3').make()
  plain = functions.imported('mylab.inits.plain')
  chex.assert_trees_all_equal(direct(key, shape), plain(key, shape, scale=3.0))
  itself = variance.Config(init=plain).scheme().make()
  chex.assert_trees_all_equal(itself(key, shape), plain(key, shape))
  assert itself(key, shape, jnp.bfloat16).dtype == jnp.bfloat16


def test_jax_initializers_are_named_as_any_other():
  key, shape = jax.random.PRNGKey(3), (20, 4)
  ours = schemes.resolve('jax.nn.initializers.orthogonal:scale=2').make()
  theirs = jax.nn.initializers.orthogonal(2.0)
  chex.assert_trees_all_equal(ours(key, shape), theirs(key, shape))


def test_activations_of_anybody_are_one_function_a_text():
  x = jnp.linspace(-3, 3, 7)
  mish = activations.resolve('mylab.inits.mish:sharpness=2')
  chex.assert_trees_all_close(mish(x), x * jnp.tanh(jax.nn.softplus(2 * x)))
  assert mish is activations.resolve('mylab.inits.mish:sharpness=2.0')
  assert activations.resolve('tanh') is jnp.tanh
  # E f(z)^2 of mish by a plain sum over a grid, which has 12 digits here.
  z = np.linspace(-12, 12, 100_001)
  square = (z * np.tanh(np.log1p(np.exp(2 * z)))) ** 2
  density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
  second = np.sum(square * density) * (z[1] - z[0])
  gain = activations.gain('mylab.inits.mish:sharpness=2')
  assert gain == pytest.approx(second**-0.5, rel=1e-8)


def test_a_gain_is_given_once():
  with pytest.raises(base.UserError, match='the gain is given twice'):
    variance.Config(init='glorot:gain=2', gain='3')
  with pytest.raises(base.UserError, match=r'in its name: mylab.inits.spread:'):
    variance.Config(init='mylab.inits.spread', gain='3')
  with pytest.raises(base.UserError, match='selu has no gain'):
    variance.Config(init='selu', gain='3')
  with pytest.raises(base.UserError, match='no choice of distribution'):
    variance.Config(init='mylab.inits.spread', distribution='normal')


def test_a_function_is_stored_by_the_path_that_imports_it_or_its_name():
  mish = functions.imported('mylab.inits.mish')
  assert written(mish) == 'mylab.inits.mish'
  assert identity.constant(functions.Named, mish) == (str, 'mylab.inits.mish')
  for other, name in (
    (lambda x: x, 'lambda'),
    (initializers.normal(1.0), 'initializer'),
    (functools.partial(mish, sharpness=2.0), 'partial'),
  ):
    assert name in written(other)
    assert identity.constant(functions.Named, other) == (str, written(other))


def test_a_function_that_cannot_be_hashed_is_refused():
  class Unhashable:
    __hash__ = None

    def __call__(self, x):
      return x

  with pytest.raises(base.UserError, match='cannot be hashed'):
    variance.Config(activation=Unhashable())
