"""The coordinate check: by hand, on right models, and on three wrong ones."""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from initlab import base, keys
from initlab.models import (
  coordinates,
  first_steps,
  languages,
  parametrization,
  transformer,
)
from initlab.models.parametrization import Rule
from initlab.report import coordinates as reports

_WIDTHS = (32, 128)
_X = np.float32(np.random.default_rng(0).standard_normal((4, 6)))
_Y = np.arange(4) % 3


def _forward(params, x):
  """The outputs of the layers."""
  first = x @ params['first']
  second = jax.nn.relu(first) @ params['second']
  third = jax.nn.relu(second) @ params['third'] + params['bias'][None]
  return first, second, third


def _mlp(n):
  shapes = {'first': (6, n), 'second': (n, n), 'third': (n, 3)}

  def init(key):
    sizes = [math.prod(shape) for shape in shapes.values()]
    flat = jax.random.normal(key, (sum(sizes),))
    parts = jnp.split(flat, np.cumsum(sizes)[:-1])
    params = {
      name: part.reshape(shape) * shape[0] ** -0.5
      for part, (name, shape) in zip(parts, shapes.items(), strict=True)
    }
    return {**params, 'bias': jnp.zeros(3)}

  def loss(params, x, y):
    logits = _forward(params, x)[-1]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, y))

  return init, loss, (_X, _Y)


def _mlp_rules(n):
  """Table 3 by hand; `parametrization_test` compares `mup` with it."""
  r = n / 32
  return {
    'first': Rule('input'),
    'second': Rule('hidden', 1, 1 / r),
    'third': Rule('output', r**-0.5, 1 / r),
    'bias': Rule('fixed'),
  }


def _adam(rule):
  return optax.adam(3e-3 * rule.learning_rate)


@functools.cache
def _right():
  return coordinates.coordinate_check(
    _mlp, _WIDTHS, optimizer=_adam, rules=_mlp_rules, steps=3
  )


@pytest.mark.slow
def test_sizes_are_those_of_the_layers_by_hand():
  found = _right()
  assert found.sites == ('first', 'second', 'third')
  assert found.grows == (True, True, False)
  assert found.start.shape == (5, 2, 3)
  assert found.moved.shape == (5, 2, 3, 3)
  seed, place, n = 3, 1, 128
  init, loss, batch = _mlp(n)
  rules = _mlp_rules(n)
  params = parametrization.rescale(init(keys.at(keys.root(0), seed)), rules)
  optimizer = parametrization.optimizer(_adam, rules)
  state, first = optimizer.init(params), _forward(params, _X)

  @jax.jit
  def step(params, state):
    gradient = jax.grad(loss)(params, *batch)
    with jax.numpy_dtype_promotion('standard'):
      updates, state = optimizer.update(gradient, state, params)
    return optax.apply_updates(params, updates), state

  rms = lambda layers: [float(jnp.sqrt(jnp.mean(x**2))) for x in layers]
  # A step of Adam divides gradients by their own size, so its last bits move
  # whole weights: what is measured after it agrees to a few times 1e-5.
  np.testing.assert_allclose(found.start[seed, place], rms(first), rtol=1e-6)
  for count in range(3):
    params, state = step(params, state)
    now = _forward(params, _X)
    moved = rms([x - x_0 for x, x_0 in zip(now, first, strict=True)])
    np.testing.assert_allclose(
      found.moved[seed, place, count], moved, rtol=1e-4
    )


def test_mup_keeps_every_size():
  found = _right()
  assert found.verdicts == ()
  assert 'every slope is within 0.1' in str(found)
  # 0.1 is what the lab asks of muP; the slopes' own standard error is 0.05.
  np.testing.assert_array_less(np.abs(found.mean_slope.value), 0.1)
  # The logits of muP start as 1 / sqrt(n), which is no mistake; a slope of 12
  # logits of 5 seeds errs by 0.1.
  assert -0.8 < found.start_slope.value[2] < -0.2


def test_standard_parametrization_explodes():
  found = coordinates.coordinate_check(
    _mlp, _WIDTHS, optimizer=optax.adam(3e-3), steps=3
  )
  assert found.mean_slope.low[2] > 0.4
  findings = {(each.site, each.finding) for each in found.verdicts}
  assert findings >= {('second', 'explodes'), ('third', 'explodes')}
  assert 'third explodes: slope ' in str(found)


def _wrong(change, rules, n):
  return jax.tree.map(change, rules(n))


# Rates that fall as 1 / sqrt(r_in), and a readout as standard parametrization
# has it.
_SQUARE_ROOT = lambda rule: dataclasses.replace(
  rule, learning_rate=rule.learning_rate**0.5
)
_PLAIN_READOUT = lambda rule: Rule('output') if rule.kind == 'output' else rule


@pytest.mark.slow
@pytest.mark.parametrize(
  ('change', 'site'), [(_SQUARE_ROOT, 'second'), (_PLAIN_READOUT, 'third')]
)
def test_a_planted_error_is_found(change, site):
  found = coordinates.coordinate_check(
    _mlp,
    _WIDTHS,
    optimizer=_adam,
    rules=functools.partial(_wrong, change, _mlp_rules),
    steps=3,
  )
  assert (site, 'explodes') in {(v.site, v.finding) for v in found.verdicts}


def _powers(exponents):
  """A result whose sizes are powers of the width, times noise of 1%."""
  widths = np.array([8, 16, 32.0])
  sizes = widths[:, None] ** np.array(exponents)
  noise = np.exp(np.random.default_rng(0).normal(0, 0.01, (6, 3, 2, 3)))
  rms = sizes[:, None] * noise
  return coordinates.Coordinates(
    np.arange(6),
    (8, 16, 32),
    ('a', 'b', 'c'),
    (True, True, False),
    rms[:, :, 0],
    rms,
    np.zeros((6, 3, 3)),
    0.1,
    0,
  )


def test_changes_are_since_the_start():
  outputs = jnp.array([1.0, 3.0, 4.0]).reshape(3, 1, 1) * jnp.ones((3, 2, 5))
  sizes = first_steps._rms(outputs)
  np.testing.assert_array_equal(sizes, [[1, 1], [2, 2], [3, 3]])


def test_slopes_are_exponents():
  found = _powers([0.0, 0.5, -0.5])
  for slope in (found.start_slope, found.mean_slope):
    # Noise of 1% over two octaves: a slope errs by 0.01, a mean of 6 by less.
    np.testing.assert_allclose(slope.value, [0, 0.5, -0.5], atol=0.02)
  assert {(each.site, each.finding) for each in found.verdicts} == {
    ('b', 'explodes'),
    ('b', 'starts too large'),
    ('c', 'vanishes'),
  }


def test_a_hidden_layer_may_not_start_smaller():
  found = _powers([-0.5, 0.0, 0.0])
  assert ('a', 'starts too small') in {
    (each.site, each.finding) for each in found.verdicts
  }


def test_the_frame_is_tidy():
  found = _powers([0.0, 0.5, -0.5])
  frame = found.to_frame()
  assert len(frame) == 3 * 3 * 6 * 3
  row = frame.query("site == 'b' and width == 16 and seed == 2 and step == 1")
  assert row.rms.item() == found.moved[2, 1, 0, 1]
  start = frame.query("site == 'c' and width == 8 and seed == 5 and step == 0")
  assert start.rms.item() == found.start[5, 0, 2]


def test_what_makes_no_sense_is_refused():
  check = functools.partial(
    coordinates.coordinate_check, optimizer=optax.sgd(0.1)
  )
  with pytest.raises(base.UserError, match='two widths'):
    check(_mlp, (8, 8))
  no_loss = lambda n: (_mlp(n)[0], lambda p, x: x @ p['first'], (_X,))
  with pytest.raises(base.UserError, match='returns a loss'):
    check(no_loss, (8, 16))


def _transformer(n, *, exponent):
  language = languages.copying(8, 4)
  config = transformer.Config(
    language.vocabulary, language.length, width=n, heads=1, blocks=1
  )
  sequences = language.draw(keys.root(9), 1)

  def loss(params, sequences):
    logits = transformer.apply(
      params, sequences.tokens, attention_exponent=exponent
    )
    return languages.loss(logits, sequences)

  return lambda key: transformer.init(key, config), loss, (sequences,)


@functools.cache
def _transformer_rules(n):
  make = functools.partial(_transformer, exponent=1.0)
  return parametrization.mup(make, n, 64)


@pytest.mark.slow
@pytest.mark.parametrize(
  ('exponent', 'change', 'sites'),
  [
    (1.0, lambda rule: rule, set()),
    (0.5, lambda rule: rule, {'product 1[0]'}),
    (1.0, _SQUARE_ROOT, {'blocks/mlp/up[0]', 'blocks/mlp/down[0]'}),
    (1.0, _PLAIN_READOUT, {'readout'}),
    (0.5, lambda rule: Rule('fixed'), {'readout', 'blocks/mlp/down[0]'}),
  ],
  ids=['muP', 'attention', 'square root', 'readout', 'SP'],
)
def test_a_transformer_passes_or_is_found_out(exponent, change, sites):
  found = coordinates.coordinate_check(
    functools.partial(_transformer, exponent=exponent),
    (64, 128, 256),
    optimizer=lambda rule: optax.adam(2e-3 * rule.learning_rate),
    rules=functools.partial(_wrong, change, _transformer_rules),
  )
  exploding = {v.site for v in found.verdicts if v.finding == 'explodes'}
  assert exploding >= sites
  if not sites:
    assert found.verdicts == ()
    np.testing.assert_array_less(np.abs(found.mean_slope.value), 0.1)
  if change(Rule('hidden')) == Rule('fixed'):
    assert found.mean_slope.low[found.sites.index('readout')] > 0.4


def test_slopes_of_too_few_seeds_stand_without_an_interval():
  rms = np.array([[[1.0], [2.0]]] * 2)  # 2 seeds, widths 4 and 8, one site
  places = (4, 8), ('w',), (True,)
  sizes = rms, rms[:, :, None], np.zeros((2, 2, 2))
  found = coordinates.Coordinates(np.arange(2), *places, *sizes, 0.1, 0)
  assert str(found).splitlines()[1].split() == ['w', '1', '1']
  assert 'not judged: an interval takes 5 seeds, not 2' in str(found)


def test_a_slope_has_the_digits_of_its_interval():
  found = _powers([0.0, 0.5, -0.5])
  slope = found.start_slope.at(1)
  assert f'{slope}' in str(found).splitlines()[2]
  assert f'b starts too large: slope {slope}' in str(found)


def test_checks_are_compared_on_the_seeds_that_both_have():
  found = _powers([0.0, 0.5, -0.5])
  fewer = dataclasses.replace(
    found, seeds=found.seeds[3:], start=found.start[3:], moved=found.moved[3:]
  )
  rows = reports.differences(found, fewer)
  assert {(row['pairs'], row['total']) for row in rows} == {(3, 6)}
  assert {row['difference'] for row in rows} == {0.0}
  with pytest.raises(base.UserError, match='root seeds 0 and 1'):
    reports.differences(found, dataclasses.replace(found, root_seed=1))
  with pytest.raises(base.UserError, match='no site'):
    reports.differences(found, dataclasses.replace(found, sites=('d',) * 3))
