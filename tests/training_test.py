"""A training: what a step does, what it learns from, and when it gives up."""

import functools
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from initlab import (
  base,
  experiment,
  initializers,
  keys,
  losses,
  minibatches,
  mlp,
  optimizers,
  training,
)

_LOSS = losses.cross_entropy
_OBJECTIVE = mlp.objective(jnp.tanh, _LOSS)
_DATA = base.Batch(
  np.linspace(-1, 1, 28, dtype=np.float32).reshape(7, 4) ** 2,
  np.arange(7, dtype=np.int32) % 3,
)


def _params(key=None):
  key = keys.root(0) if key is None else key
  return mlp.init(key, (4, 5, 3), initializers.glorot_uniform())


def _optimizer(name='sgd', rate=0.1, schedule='constant', steps=10):
  return optimizers.optimizer(name, schedule, rate, steps)


@functools.partial(jax.jit, static_argnames=('name', 'every'))
def _train(rate, state, first, last, name='sgd', every=4):
  data = base.Batch(*map(jnp.asarray, _DATA))
  examples = minibatches.shuffled(keys.root(1), data, 3)
  return training.advance(
    _OBJECTIVE,
    _optimizer(name, rate),
    examples,
    state,
    first,
    last,
    every=every,
  )


def _started(name='sgd'):
  return training.start(_params(), _optimizer(name))


def _orders(count, size, steps, first=0):
  """The rows that each of some steps takes, of inputs and labels alike."""
  numbers = jnp.arange(count)
  data = base.Batch(numbers.astype(jnp.float32)[:, None], numbers)
  examples = minibatches.shuffled(keys.root(3), data, size)

  batch, turn = jax.jit(examples.batch), jax.jit(examples.turn)
  cursor, end, found = examples.open(jnp.int32(first)), None, []
  for step in map(jnp.int32, range(first, first + steps)):
    if step == end:
      cursor = turn(cursor, step)
    end = examples.end(step)
    rows = batch(cursor, step)
    np.testing.assert_array_equal(rows.x[:, 0], rows.y)
    found.append(rows.y)
  return np.array(found)


@pytest.mark.parametrize(('count', 'size'), [(7, 3), (6, 3), (5, 5), (3, 1)])
def test_every_example_once_an_epoch_in_a_new_order(count, size):
  epochs = 4
  rows = _orders(count, size, -(-epochs * count // size)).ravel()
  rows = rows[: epochs * count].reshape(epochs, count)
  np.testing.assert_array_equal(np.sort(rows, 1), np.tile(range(count), (4, 1)))
  if count > 5:  # four orders of seven are alike with a probability of 1e-3
    assert len(np.unique(rows, axis=0)) == epochs


@pytest.mark.parametrize('first', [1, 2, 3, 6])
def test_minibatches_do_not_depend_on_where_one_begins(first):
  whole = _orders(7, 3, 9)
  np.testing.assert_array_equal(_orders(7, 3, 9 - first, first), whole[first:])


@pytest.mark.parametrize('size', [0, 8])
def test_a_minibatch_beyond_the_data_is_refused(size):
  with pytest.raises(base.UserError, match='from 1 to 7'):
    minibatches.shuffled(keys.root(0), _DATA, size)


def test_fresh_examples_are_those_of_the_step():
  """Of early steps and late ones: they never come again."""

  def draw(key, size):
    return base.Batch(jax.random.normal(key, (size, 2)), jnp.zeros(size, int))

  examples = minibatches.examples(keys.root(4), draw, None, 5)
  cursor = examples.open(jnp.int32(0))
  batch = jax.jit(lambda step: examples.batch(cursor, step).x)
  for step in (0, 6, 6 + 2**8, 6 + 2**16, 6 + 2**24, 2**31 - 1):
    expected = draw(keys.at(keys.root(4), step), 5)
    chex.assert_trees_all_equal(batch(jnp.int32(step)), expected.x)


def test_a_step_of_sgd_is_w_minus_rate_times_gradient():
  state = training.start(_params(), _optimizer())
  data = base.Batch(*map(jnp.asarray, _DATA))
  advance = functools.partial(
    training.advance, _OBJECTIVE, _optimizer(), minibatches.whole(data), every=5
  )
  stepped = jax.jit(advance)(state, jnp.int32(0), jnp.int32(1))
  cost, gradient = jax.jit(jax.value_and_grad(_OBJECTIVE))(state.params, data)
  expected = jax.tree.map(lambda w, g: w - 0.1 * g, state.params, gradient)
  # One multiplication and one subtraction, in another order: a few 2^-24.
  chex.assert_trees_all_close(stepped.params, expected, atol=1e-6)
  np.testing.assert_allclose(stepped.mean_loss, cost, rtol=1e-6)
  np.testing.assert_allclose(stepped.last_loss, cost, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize('name', optimizers.OPTIMIZERS)
def test_every_optimizer_lowers_the_loss_of_all_examples(name):
  rate = {'lbfgs': 1.0, 'rmsprop': 0.01, 'adam': 0.01, 'adamw': 0.01}
  optimizer = _optimizer(name, rate.get(name, 0.1), 'cosine', 20)
  data = base.Batch(*map(jnp.asarray, _DATA))
  state = training.start(_params(), optimizer)
  advance = jax.jit(
    lambda state: training.advance(
      _OBJECTIVE,
      optimizer,
      minibatches.whole(data),
      state,
      jnp.int32(0),
      jnp.int32(20),
      every=20,
    )
  )
  before = _OBJECTIVE(state.params, data)
  state = advance(state)
  assert _OBJECTIVE(state.params, data) < 0.99 * before
  assert state.diverged_step == -1


def test_pieces_are_the_whole_bit_for_bit():
  whole = _train(0.1, _started('momentum'), 0, 11, 'momentum')
  state = _started('momentum')
  for first, last in ((0, 1), (1, 1), (1, 5), (5, 11)):
    state = _train(0.1, state, first, last, 'momentum')
  chex.assert_trees_all_equal(state, whole)


def test_mean_loss_is_of_the_minibatches_since_the_last_multiple():
  costs, state = [], _started()
  for step in range(7):
    state = _train(0.1, state, step, step + 1)
    costs.append(float(state.last_loss))
    since = costs[4 * (step // 4) :]
    # A running mean of at most four float32 numbers.
    np.testing.assert_allclose(state.mean_loss, np.mean(since), rtol=1e-6)


@pytest.mark.parametrize('schedule', optimizers.SCHEDULES)
def test_schedules_stay_between_zero_and_one(schedule):
  factor = optimizers.SCHEDULES[schedule](100)
  values = np.array([factor(np.float32(step)) for step in range(100)])
  assert (values >= 0).all()
  assert (values <= 1).all()
  assert values.max() == 1


def test_schedules_have_the_shapes_of_their_names():
  at = lambda name, step: float(
    optimizers.SCHEDULES[name](100)(np.float32(step))
  )
  assert at('constant', 99) == 1
  assert at('step', 49) == 1 and at('step', 51) == pytest.approx(0.1)
  assert at('step', 80) == pytest.approx(0.01)
  assert at('linear', 50) == pytest.approx(0.5)
  assert at('cosine', 50) == pytest.approx(0.5)
  assert at('exponential', 50) == pytest.approx(0.1)
  assert at('warmup', 5) == pytest.approx(0.5) and at('warmup', 50) == 1
  assert at('warmup_cosine', 55) == pytest.approx(0.5)


@pytest.mark.parametrize('steps', [1, 2, 3, 7])
@pytest.mark.parametrize('schedule', optimizers.SCHEDULES)
def test_schedules_take_any_number_of_steps(schedule, steps):
  assert np.isfinite(optimizers.SCHEDULES[schedule](steps)(np.float32(0)))


def test_unknown_names_are_told():
  with pytest.raises(base.UserError, match="did you mean 'adam'"):
    _optimizer('adan')
  with pytest.raises(base.UserError, match="did you mean 'cosine'"):
    _optimizer(schedule='cosin')


def test_a_diverged_network_is_frozen_and_its_neighbours_never_notice():
  """Rates too large to survive beside one that is right, in one vmap."""
  rates = jnp.array([0.1, 1e38, 0.1, 3e38], jnp.float32)
  many = jax.vmap(_train, in_axes=(0, None, None, None))
  state = many(rates, _started(), 0, 5)
  later = jax.vmap(_train, in_axes=(0, 0, None, None))(rates, state, 5, 9)
  lost = np.array([False, True, False, True])
  np.testing.assert_array_equal(state.diverged_step >= 0, lost)
  assert np.isfinite(state.last_loss).all()
  assert np.isfinite(later.mean_loss).all()
  frozen = lambda tree: jax.tree.map(lambda x: x[lost], tree)
  chex.assert_trees_all_equal(frozen(later), frozen(state))
  clean = many(jnp.full(4, 0.1, jnp.float32), _started(), 0, 5)
  alive = lambda tree: jax.tree.map(lambda x: x[~lost], tree)
  chex.assert_trees_all_equal(alive(state), alive(clean))


def test_divergence_is_told_by_its_first_step_and_last_finite_loss():
  """A cost of the step's own, so that the step is known: finite up to 2."""

  def objective(params, batch):
    del batch
    return params[0].b[0]

  data = base.Batch(jnp.zeros((1, 1)), jnp.zeros(1, jnp.int32))
  start = (base.Layer(jnp.zeros((1, 1)), jnp.full(1, 2.5e38)),)
  optimizer = optimizers.optimizer('sgd', 'constant', -5e37, 10)
  state = training.advance(
    objective,
    optimizer,
    minibatches.whole(data),
    training.start(start, optimizer),
    jnp.int32(0),
    jnp.int32(10),
    every=100,
  )
  # 2.5e38, 3.0e38, then 3.5e38, which is beyond float32.
  assert int(state.diverged_step) == 2
  np.testing.assert_allclose(state.last_loss, 3e38, rtol=1e-6)


def test_gradients_that_are_not_finite_are_noticed_where_the_loss_is_finite():
  """The root of 0 is 0, and its slope infinite: no step is taken."""
  objective = lambda params, batch: jnp.sum(jnp.sqrt(params[0].b))
  start = (base.Layer(jnp.ones((1, 1)), jnp.zeros(1)),)
  state = training.advance(
    objective,
    _optimizer(),
    minibatches.whole(None),
    training.start(start, _optimizer()),
    jnp.int32(0),
    jnp.int32(2),
    every=100,
  )
  assert int(state.diverged_step) == 0
  chex.assert_trees_all_equal(state.params, start)
  assert float(state.last_loss) == 0


def test_parameters_that_are_not_finite_are_noticed_where_the_loss_is_finite():
  """An infinite bias only saturates a tanh: the cost does not show it."""
  params = _params()
  bias = params[0].b.at[0].set(jnp.inf)
  params = (params[0]._replace(b=bias), *params[1:])
  state = training.start(params, _optimizer())
  assert np.isfinite(_OBJECTIVE(params, _DATA))
  state = _train(0.1, state, 1, 4)
  assert int(state.diverged_step) == -1
  assert int(_train(0.1, state, 4, 6).diverged_step) == 4


@pytest.mark.slow
def test_an_optax_loop_in_numpy_words_gives_the_same_training():
  """Against a plain Python loop over optax, as a reader would write it."""
  optimizer, params = optax.sgd(0.1, momentum=0.9), _params()
  data = base.Batch(*map(jnp.asarray, _DATA))
  memory, rows = optimizer.init(params), []
  for epoch in range(4):
    key = keys.at(keys.root(1), epoch)
    rows += jax.random.permutation(key, 7).tolist()
  for step in range(8):
    mine = jnp.array(rows[3 * step : 3 * step + 3])
    batch = base.Batch(data.x[mine], data.y[mine])
    gradient = jax.grad(_OBJECTIVE)(params, batch)
    updates, memory = optimizer.update(gradient, memory, params)
    params = optax.apply_updates(params, updates)
  state = _train(0.1, _started('momentum'), 0, 8, 'momentum')
  # Eight steps of float32 numbers of about 1, other orders of summation.
  chex.assert_trees_all_close(state.params, params, atol=1e-5)


@pytest.mark.parametrize(
  ('name', 'plain'),
  [
    ('sgd', optax.sgd),
    ('momentum', lambda rate: optax.sgd(rate, momentum=0.9)),
    ('nesterov', lambda rate: optax.sgd(rate, momentum=0.9, nesterov=True)),
    ('rmsprop', optax.rmsprop),
    ('adam', optax.adam),
    ('adamw', optax.adamw),
  ],
)
def test_optimizers_are_those_of_optax(name, plain):
  """Three steps on given gradients, at the rates 0.1, 0.075 and 0.05."""
  ours = optimizers.optimizer(name, 'linear', 0.1, 4)
  theirs = plain(optax.linear_schedule(0.1, 0.0, 4))
  params = others = jnp.array([1.0, -2.0, 0.5])
  memory, other = ours.init(params), theirs.init(others)
  for step in range(3):
    gradient = jnp.array([0.3, 1.0, -2.0]) * (step + 1)
    updates, memory = ours.update(gradient, memory, params)
    params = params + updates
    with jax.numpy_dtype_promotion('standard'):
      updates, other = theirs.update(gradient, other, others)
    others = others + updates
  # The rate is a product here, and a schedule there: roundings of 2^-24.
  chex.assert_trees_all_close(params, others, rtol=1e-6)


@experiment.config
class _Descent:
  """p from 1 down to 0 along p^2 / 2: p_t = (1 - rate)^t."""

  learning_rate: float = experiment.knob(0.1, 'of descent', traced=True)
  steps: int = experiment.knob(50, 'taken')

  def draw(self, key):
    del key
    return jnp.ones((1,))


class _Reached(NamedTuple):
  p: experiment.PerStep
  start: experiment.PerNetwork
  reached: experiment.PerNetwork


def _descent(**others):
  """The training of `_Descent`, which watches for a loss below 0.01."""

  def watch(config, network, moved, data, kept, step):
    del config, network, data
    now = (kept['step'] < 0) & (moved.last_loss < 0.01)
    return {**kept, 'step': jnp.where(now, step, kept['step'])}

  return training.of_networks(
    _Reached,
    lambda config, network, data, kept: {
      'p': network.params[0],
      'reached': kept['step'].astype(float),
    },
    objective=lambda config: lambda params, batch: 0.5 * jnp.sum(params**2),
    every=lambda config: 10,
    before=lambda config, key, params, data: {
      'start': params[0],
      'step': jnp.int32(-1),
    },
    watch=watch,
    **others,
  )


def _trained(pieces, config):
  page = experiment.Experiment(
    name='descent',
    program=(),
    doc='',
    config=_Descent,
    result=pieces.result,
    training=pieces,
  )
  return training.run(page, config, keys.root(0), None)


def test_a_training_stores_what_is_kept_watched_and_recorded():
  """Of p = (1 - rate)^t and the loss p^2 / 2, from the closed form."""
  found = _trained(_descent(), _Descent())
  chex.assert_trees_all_close(
    found.p, 0.9 ** np.arange(0.0, 51, 10, np.float32), rtol=1e-5
  )
  assert float(found.start) == 1
  # 0.5 * 0.81^t < 0.01 first at t = 19, where it is 0.0091; 0.0113 before.
  assert int(found.reached) == 19
  assert np.isnan(found.diverged_step)


def test_what_is_recorded_of_a_seed_that_diverges_is_nan_from_there_on():
  """A rate of 3 doubles -p at every step: p^2 / 2 overflows at step 64."""
  found = _trained(_descent(), _Descent(learning_rate=3.0, steps=100))
  assert int(found.diverged_step) == 64
  assert np.isfinite(found.p[:7]).all()
  assert np.isnan(found.p[7:]).all()
  assert float(found.start) == 1


def test_a_record_names_the_fields_of_its_result():
  """A name that is not a field, or a field that nobody names, is an error."""
  for name in ('q', 'reached'):
    pieces = training.of_networks(
      _Reached,
      lambda config, network, data, kept, name=name: {name: network.params[0]},
      every=lambda config: 10,
    )
    with pytest.raises(TypeError, match='argument'):
      pieces.record(_Descent(), None, pieces.start(_Descent(), None, None))
