"""Any model, trained: its contract, its numbers, its identity, its errors."""

import importlib
import os

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from experiments import learning as program_of_learning
import initlab
from initlab import base, keys, launch, own_data
from initlab.engine import program, sizing
from initlab.experiment import present
from initlab.instruments import model_learning as learning
from initlab.launch import flags, shell
from tests.helpers import studies

_MODULE = """
import jax
import jax.numpy as jnp

from initlab import keys

X = jnp.linspace(-1, 1, 40).reshape(10, 4) ** 2


def make(gain=1.0):
  def init(key):
    draw = lambda name, n: jax.random.normal(keys.stream(key, name), (4, n))
    return {'w': gain * draw('w', 6), 'bias': jnp.zeros((1, 6))}

  def model(params, x):
    hidden = jnp.tanh(x @ params['w'] + params['bias'])
    return jnp.mean(hidden**2)

  return init, model, X


def fresh():
  init, model, _ = make()

  def dropped(params, x, key):
    kept = jax.random.bernoulli(key, 0.5, x.shape)
    loss = model(params, jnp.where(kept, x, 0.0))
    return loss, loss / 2

  def batch(key, size):
    x = jax.random.uniform(keys.stream(key, 'x'), (size, 4))
    return x, keys.stream(key, 'dropout')

  return init, dropped, batch


def changed(**replaced):
  init, model, batch = make()
  parts = {'init': init, 'model': model, 'batch': batch} | replaced
  return tuple(parts.values())


output = lambda: changed(model=lambda params, x: x @ params['w'])
nothing = lambda: changed(model=lambda params, x: None)
other = lambda: changed(model=lambda params, x: jnp.sum(params['v']))
keyless = lambda: changed(init=lambda key: {'w': jnp.ones((4, 6))})
counts = lambda: changed(init=lambda key: {'n': jax.random.bits(key)})
ragged = lambda: changed(batch=(X, X[:3]))
few = lambda: changed(batch=X[:4])
words = lambda: changed(batch=(X, ['a'] * 10))
fixed = lambda: changed(batch=lambda key, size: X[:size])
sizeless = lambda: changed(batch=lambda key: X)
broken = lambda: X['x']
triple = lambda: 3
"""
_TINY = {'steps': 2, 'record_every': 2, 'optimizer': 'sgd'}


@pytest.fixture(autouse=True)
def module(tmp_path, monkeypatch):
  """A module of anybody's, in a folder of its own."""
  path = tmp_path / 'anybodys.py'
  path.write_text(_MODULE)
  monkeypatch.syspath_prepend(str(tmp_path))
  monkeypatch.delitem(importlib.sys.modules, 'anybodys', raising=False)
  importlib.invalidate_caches()
  return path


def test_a_model_is_trained_from_its_own_initialization(tmp_path):
  """Two steps of gradient descent on eight examples of ten, written out."""
  flags = [f'--{name}={value}' for name, value in _TINY.items()]
  flags += ['--model=anybodys:make:gain=2', '--batch_size=0', '--seeds=0:3']
  (found,) = studies.run(learning.EXPERIMENT, tmp_path / 'out', *flags)
  import anybodys

  init, model, x = anybodys.make(gain=2)
  places = own_data.places(10)
  assert [len(places[split]) for split in own_data.SPLITS] == [8, 1, 1]
  for seed, loss, moved in zip(
    found.seeds,
    found.measured['final_loss'],
    found.measured['distance'],
    strict=True,
  ):
    key = keys.stream(keys.at(keys.root(0), seed), 'init')
    params = start = init(key)
    for _ in range(2):
      gradient = jax.grad(model)(params, x[places['train']])
      params = jax.tree.map(lambda w, g: w - 0.003 * g, params, gradient)
    norm = lambda tree: np.sqrt(sum(np.sum(x**2) for x in tree.values()))
    way = norm(jax.tree.map(jnp.subtract, params, start)) / norm(start)
    # A few float32 roundings; of the way, relative to w, which is 5e3 times it.
    np.testing.assert_allclose(
      loss, model(params, x[places['test']]), rtol=1e-5
    )
    np.testing.assert_allclose(moved[-1], way, rtol=2e-3)
  assert np.isnan(found.measured['final_error']).all()
  shown, (outcome,) = present(learning.EXPERIMENT, [found])
  assert shown.compared == ('final_loss',)
  assert 'error' not in outcome.measured
  assert 'final_error' not in outcome.axes
  assert 'test error' not in learning.verdict(outcome)[0]


def test_fresh_examples_follow_from_seed_and_step_alone():
  configs = [
    learning.Config(model='anybodys:fresh', init=init, batch_size=3)
    for init in ('own', 'he')
  ]
  key = keys.at(keys.root(0), 5)
  for config in configs:
    data = learning.load(config, '')
    assert data.train is None
    assert len(data.valid[0]) == len(data.test[0]) == 256
    swapped = data._replace(valid=(data.valid[0], data.test[1]))
    assert program.data_digest(swapped) != program.data_digest(data)
    examples = learning.examples(config, key, data)
    x, _ = examples.batch(examples.open(jnp.int32(0)), jnp.int32(7))
    of_step = keys.stream(keys.at(keys.stream(key, 'data'), 7), 'x')
    np.testing.assert_array_equal(x, jax.random.uniform(of_step, (3, 4)))
    loss, error = learning.made.make(config.model).evaluate(
      config.draw(key), data.test
    )
    assert error == loss / 2


def test_a_scheme_draws_what_is_selected():
  key = keys.root(3)
  draw = lambda **knobs: learning.Config('anybodys.make', **knobs).draw(key)
  own, every = draw(), draw(init='orthogonal')
  gram = every['w'] @ every['w'].T
  np.testing.assert_allclose(gram, gram[0, 0] * np.eye(4), atol=1e-6)
  bias = draw(init='constant:value=3', select='b*')
  np.testing.assert_array_equal(bias['bias'], np.full((1, 6), 3))
  np.testing.assert_array_equal(bias['w'], own['w'])


def test_an_edit_of_the_model_is_another_program(module):
  """Renaming a variable of it is none."""

  def name():
    config = learning.Config(model='anybodys:make', batch_size=2, steps=2)
    assert config.model == 'anybodys.make'
    data = learning.load(config, '')
    return program.names(learning.EXPERIMENT, [config], [data], {})[0][0]

  first = name()
  for number, (old, new) in enumerate(
    [('hidden', 'h'), ('jnp.tanh', 'jnp.sin')], start=1
  ):
    module.write_text(module.read_text().replace(old, new))
    os.utime(module, (number, number))  # Python compares whole seconds.
    importlib.reload(importlib.import_module('anybodys'))
    same = name() == first
    assert same == (new == 'h')


@pytest.mark.parametrize(
  ('knobs', 'told'),
  [
    ({'model': 'anybodys:output'}, 'returns float32[1, 6], but a training'),
    ({'model': 'anybodys:nothing'}, 'returns nothing, but'),
    (
      {'model': 'anybodys:other'},
      'does not take these params and this batch: K',
    ),
    ({'model': 'anybodys:keyless'}, 'init draws the same params'),
    ({'model': 'anybodys:counts'}, 'params leaf n is of uint32'),
    ({'model': 'anybodys:ragged'}, 'not 3 and 10'),
    ({'model': 'anybodys:few'}, '4 examples, of at least 6'),
    ({'model': 'anybodys:words'}, 'batch[1][0] is of str, not'),
    ({'model': 'anybodys:fixed'}, 'batch draws the same examples'),
    ({'model': 'anybodys:sizeless'}, 'takes 1 positional argument but 2'),
    ({'model': 'anybodys:broken'}, '<lambda>() fails: TypeError'),
    ({'model': 'anybodys:triple'}, 'must return (init, model, batch), not int'),
    ({'model': 'anybodys:absent'}, "has no 'absent'"),
    ({'model': 'anybodys:make:gian=2'}, "did you mean 'gain'"),
    ({'model': 'transfomer'}, "did you mean 'transformer'"),
    ({'model': 'anybodys:fresh', 'batch_size': 0}, 'without end'),
    ({'model': 'anybodys:make', 'select': '*/out', 'init': 'he'}, 'no leaf'),
    ({'model': 'anybodys:make', 'optimizer': 'lbfgs'}, 'needs 0'),
  ],
)
def test_bad_input_is_one_clear_sentence(knobs, told):
  with pytest.raises(base.UserError) as error:
    learning.load(learning.Config(**knobs), '')
  assert told in str(error.value)
  assert str(error.value).startswith('--') and '\n' not in str(error.value)


def test_a_model_that_convolves_is_trained_seed_by_seed_on_a_cpu():
  lanes = lambda model, backend: sizing.auto_lanes(
    learning.EXPERIMENT, backend
  )(learning.Config(model=model))
  assert lanes('convnet', 'cpu') == 1 < lanes('convnet', 'gpu')
  assert lanes('anybodys:make', 'cpu') > 1


def test_the_flag_chooses_the_experiment(tmp_path):
  module = program_of_learning
  chosen = lambda *argv: shell.chosen(
    module.EXPERIMENT, module.INSTEAD, flags.expanded(['learning', *argv])
  )
  assert chosen('--init=model', '--seeds=0:2') is module.EXPERIMENT
  (tmp_path / 'flags.txt').write_text('# of a run\n--model=convnet\n')
  for argv in (
    ['--model=transformer'],
    ['--seeds=1', '--model', 'convnet'],
    [f'--flagfile={tmp_path / "flags.txt"}', '--seeds=3'],
  ):
    assert chosen(*argv) is module.INSTEAD['model']


@pytest.mark.slow
def test_a_notebook_has_the_numbers_of_a_shell(tmp_path, capsys):
  """A whole program, with its page; in Python, the function itself."""
  import anybodys

  flags = [f'--{name}={value}' for name, value in _TINY.items()]
  flags += ['--model=anybodys:fresh', '--batch_size=3', '--seeds=0:6']
  flags += [f'--out={tmp_path}', '--compile_cache=none', '--lanes=8']
  with pytest.raises(SystemExit) as exit_:
    launch.main(
      program_of_learning.EXPERIMENT,
      ['learning', *flags],
      instead=program_of_learning.INSTEAD,
    )
  captured = capsys.readouterr()
  assert exit_.value.code == 0, captured.err
  (flagfile,) = tmp_path.rglob('flags.txt')
  assert '--model=anybodys.fresh\n' in flagfile.read_text()
  (page,) = tmp_path.rglob('report.html')
  assert page.read_text().count('<svg') == len(learning.PANELS)
  report = initlab.learning(
    model=anybodys.fresh, batch_size=3, seeds=6, lanes=8, **_TINY
  )
  rows = pd.read_parquet(tmp_path / 'model_learning')
  ours = report.to_frame()
  for name in (
    'mean_loss',
    'error',
    'train_loss',
    'final_valid_loss',
    'distance',
  ):
    np.testing.assert_array_equal(
      *(each.sort_values(['seed', 'step'])[name] for each in (rows, ours))
    )
