"""No stale number: a result is named by the program that computes it."""

import contextlib
import functools
import importlib
import json
import os
import pathlib
import subprocess
import sys
import time
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from initlab import (
  activations,
  base,
  datasets,
  initializers,
  keys,
  losses,
  mlp,
  optimizers,
  probes,
  training,
)
from initlab.engine import program, sizing, study
from initlab.experiment import (
  Experiment,
  PerStep,
  PerStepLayer,
  config,
  knob,
)
from tests.helpers import programs

_ROOT = pathlib.Path(__file__).parents[2]


@config
class _Config:
  scale: float = knob(2.0, 'what the weights are multiplied with', traced=True)
  depth: int = knob(1, 'hidden layers of three units')
  learning_rate: float = knob(0.5, 'of gradient descent')
  steps: int = knob(2, 'how many steps are taken')

  def draw(self, key):
    widths = (2, *(3,) * self.depth, 2)
    draw = initializers.SCHEMES['glorot'].make()
    params = mlp.init(keys.stream(key, 'init'), widths, draw)
    return jax.tree.map(lambda x: x * self.scale, params)


class _Result(NamedTuple):
  std: PerStepLayer
  mean_loss: PerStep


def _functions():
  tanh = activations.ACTIVATIONS['tanh']
  return tanh, losses.LOSSES['cross_entropy'].per_example


def _record(config, network, data, kept):
  del config, kept
  activation, loss = _functions()
  signals = mlp.signals(network.params, data, activation, loss)
  std = probes.PROBES['activation_std'](network.params, activation, signals)
  return {'std': std, 'mean_loss': jnp.mean(signals.loss)}


_TRAINING = training.of_networks(
  _Result,
  _record,
  objective=lambda config: mlp.objective(*_functions()),
  optimizer=lambda config: optimizers.OPTIMIZERS['sgd'](config.learning_rate),
  every=lambda config: 2,
)


def _load(config, data_dir):
  del config
  return datasets.DATASETS['xor'].split('train', None, data_dir)


_TINY = Experiment(
  name='tiny',
  program=('-m', 'tests.tiny'),
  doc='Trains a little.',
  config=_Config,
  smoke=_Config(),
  result=_TRAINING.result,
  load=_load,
  panels=(),
  training=_TRAINING,
)


def _drawn(config, key, data):
  del data
  std = jnp.ones((2, 2)) * config.scale * jax.random.normal(key)
  return _Result(std, std[:, 0])


# What compiles at once, where it does not matter what is computed.
_DRAWING = _TINY._replace(
  training=None, result=_Result, run=_drawn, steps=lambda config: (0, 2)
)


def _name(experiment, config=None, data=None):
  config = experiment.smoke if config is None else config
  data = experiment.load(config, '') if data is None else data
  return program.names(experiment, [config], [data], {})[0][0]


def _options(out, **knobs):
  knobs = {'seeds': np.arange(3), 'lanes': 1, 'devices': 1} | knobs
  return study.Options(
    root_seed=0,
    matmul_precision='highest',
    out=out,
    data_dir='',
    command='',
    **knobs,
  )


def _study(out, experiment=_TINY, settings=None, **knobs):
  """The outcomes, and how many seeds were computed."""
  settings = [experiment.smoke] if settings is None else settings
  computed = []

  @contextlib.contextmanager
  def advance(total):
    computed.append(total)
    yield lambda label, count: None

  options = _options(out, **knobs)
  return study.run(experiment, settings, options, advance)[0], computed[0]


_SETTINGS = _Config(), _Config(scale=3.0)


# What a program is named by.


@pytest.fixture(scope='module')
def name():
  return _name(_TINY)


def _other_initializer(patch):
  scheme = initializers.SCHEMES['glorot']
  twice = lambda *args: 2 * scheme.make()(*args)
  other = scheme._replace(make=lambda: twice)
  patch.setitem(initializers.SCHEMES, 'glorot', other)


def _other_activation(patch):
  other = lambda x: 1.5 * jnp.tanh(x)
  patch.setitem(activations.ACTIVATIONS, 'tanh', other)


def _other_probe(patch):
  std = probes.PROBES['activation_std']
  other = lambda *args: 3 * std(*args)
  patch.setitem(probes.PROBES, 'activation_std', other)


def _other_loop(patch):
  step = training._step
  other = lambda f, g, state, *args: step(f, g, step(f, g, state, *args), *args)
  patch.setattr(training, '_step', other)


def _other_join(patch):
  first = lambda records, result_type, axis=0: jax.tree.map(
    lambda x: x * 2, records
  )
  patch.setattr(training, 'over_steps', first)


def _other_optimizer(patch):
  sgd = optimizers.OPTIMIZERS['sgd']
  other = lambda rate: sgd(1.01 * rate)
  patch.setitem(optimizers.OPTIMIZERS, 'sgd', other)


def _other_keys(patch):
  at = keys.at
  patch.setattr(keys, 'at', lambda key, index: at(at(key, index), 0))


_EDITS = [
  _other_initializer,
  _other_activation,
  _other_probe,
  _other_loop,
  _other_join,
  _other_optimizer,
  _other_keys,
]


@pytest.mark.parametrize('edit', _EDITS)
def test_an_edit_changes_the_program(monkeypatch, name, edit):
  edit(monkeypatch)
  found = _name(_TINY)
  assert found.program != name.program
  assert found.data == name.data


def test_what_a_program_is_given_is_named_by_its_values(name):
  data = _load(None, '')
  often = _TRAINING._replace(steps=lambda config: (0, 1, 2))
  found = [
    _name(_TINY, data=data._replace(x=data.x.at[0, 0].set(0.5))),
    _name(_TINY._replace(training=often)),
    _name(_TINY, _Config(scale=1.0)),
  ]
  assert {each.program for each in found} == {name.program}
  assert len({each.data for each in (name, *found)}) == 4
  fewer = _name(_TINY, data=jax.tree.map(lambda x: x[:3], data))
  assert fewer.program != name.program
  assert fewer.data != name.data


def test_data_are_told_apart_by_dtype_shape_and_bytes():
  same = np.arange(6, dtype=np.float32)
  found = [
    same,
    same.reshape(2, 3),
    same.astype(np.int32),
    jnp.asarray(same, jnp.bfloat16),
    same.view(np.int32),
    -same,
    (same[:3], same[3:]),
    np.float32(0),
    (),
  ]
  assert len(set(map(program.data_digest, found))) == len(found)
  assert program.data_digest(jnp.asarray(same)) == program.data_digest(same)
  strided = np.stack([same, same], 1)[:, 0]
  assert program.data_digest(strided) == program.data_digest(same)


_PAGE = """
{moved}
def spread(x):
  {comment}
  {name} = x * {factor}
  return {name} + 1

def run(config, key, data):
  return {{'value': jax.jit(spread)(jax.random.normal(key)) + data.sum()}}
"""


def _page(**edits):
  """The name of a page of code that is written so."""
  words = {'moved': '', 'comment': '', 'name': 'y', 'factor': 2, 'call': ''}
  scope = {'jax': jax}
  source = _PAGE.format(**(words | edits))
  source = source.replace('spread', edits.get('function', 'spread'))
  exec(compile(source, edits.get('file', 'page.py'), 'exec'), scope)
  experiment = _TINY._replace(training=None, run=scope['run'])
  return _name(experiment, data=np.ones(2)).program


@pytest.mark.parametrize(
  'edit',
  [
    {'name': 'z'},
    {'comment': '# Spreads.'},
    {'moved': 'def other():\n  pass\n\n\n'},
    {'file': 'elsewhere.py'},
    {'function': 'widen'},
  ],
)
def test_a_refactoring_leaves_the_program(edit):
  assert _page(**edit) == _page() != _page(factor=3)


def test_arithmetic_is_part_of_the_program():
  single = _page()
  with sizing.arithmetic(_TINY._replace(dtype='float64')):
    assert _page() != single


def test_the_precision_of_products_is_part_of_the_program(name):
  with jax.default_matmul_precision('bfloat16'):
    assert _name(_TINY).program != name.program


def test_lanes_and_devices_are_no_part_of_the_program(tmp_path):
  for knobs in {}, {'lanes': 2, 'devices': 2}:
    _study(tmp_path, _DRAWING, **knobs)
  rows = pd.read_parquet(tmp_path / 'tiny')
  assert set(rows.lanes) == {1, 2}
  assert rows.run.nunique() == 2
  assert rows.program.nunique() == 1


def test_the_text_is_the_same_in_another_process(name):
  code = """
from tests.engine import program_test as t
print(t._name(t._TINY).program)
"""
  found = subprocess.run(
    [sys.executable, '-c', f'import tests.conftest{code}'],
    env=os.environ | {'PYTHONHASHSEED': '7'},
    cwd=_ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert found.stdout.strip() == name.program


# What is stored.


def test_an_edit_sets_aside_what_was_stored(tmp_path):
  first, computed = _study(tmp_path, settings=_SETTINGS)
  assert computed == 6
  assert _study(tmp_path, settings=_SETTINGS)[1] == 0
  (tmp_path / 'tiny' / 'notes').mkdir()
  with pytest.MonkeyPatch.context() as patch:
    _other_initializer(patch)
    with pytest.warns(UserWarning) as told:
      second, computed = _study(tmp_path, settings=_SETTINGS[:1])
    (warning,) = (str(each.message) for each in told)
    assert '1 settings' in warning
    assert '1 of another program' in warning
    assert str(tmp_path / '_earlier' / 'tiny') in warning
    assert computed == 3
  std = [outcomes[0].measured['std'] for outcomes in (first, second)]
  assert not np.any(std[0] == std[1])
  rows = pd.read_parquet(tmp_path / 'tiny')
  assert rows.groupby('scale').program.nunique().tolist() == [1, 1]
  assert len(rows) == 2 * 3 * (4 + 2 + 1)
  assert rows.run.nunique() == 2
  assert (tmp_path / 'tiny' / 'notes').exists()
  # The first program is back, and so are its rows.
  with pytest.warns(UserWarning, match='1 of another program'):
    again, computed = _study(tmp_path, settings=_SETTINGS)
  assert computed == 0
  for one, other in zip(first, again, strict=True):
    for field, values in one.measured.items():
      np.testing.assert_array_equal(values, other.measured[field])


def test_other_data_set_aside_what_was_stored(tmp_path):
  _study(tmp_path, _DRAWING)
  other = lambda config, data_dir: _load(config, data_dir)._replace(
    x=jnp.ones((4, 2))
  )
  with pytest.warns(UserWarning, match='1 of another data'):
    _, computed = _study(tmp_path, _DRAWING._replace(load=other))
  assert computed == 3
  assert pd.read_parquet(tmp_path / 'tiny').run.nunique() == 1


def test_rows_of_the_layout_without_programs_are_set_aside(tmp_path):
  _study(tmp_path, _DRAWING)
  (path,) = tmp_path.rglob('_setting.json')
  recorded = json.loads(path.read_text())
  for bit in 'program', 'data':
    del recorded['bits'][bit]
  path.write_text(json.dumps(recorded))
  old = path.parent.rename(path.parent.with_name('old-0'))
  with pytest.warns(UserWarning, match='1 without a digest of their program'):
    assert _study(tmp_path, _DRAWING)[1] == 3
  aside = tmp_path / '_earlier' / 'tiny' / old.name
  assert list(aside.glob('seeds-*.parquet'))
  assert pd.read_parquet(tmp_path / 'tiny').run.nunique() == 1


def test_a_checkpoint_goes_with_its_program(tmp_path):
  _study(tmp_path, _DRAWING)
  (folder,) = (path.parent for path in tmp_path.rglob('_setting.json'))
  (folder / '_checkpoint-0.bin').write_bytes(b'')
  with pytest.MonkeyPatch.context() as patch:
    _other_keys(patch)
    with pytest.warns(UserWarning, match='earlier program'):
      _study(tmp_path, _DRAWING)
  (moved,) = tmp_path.rglob('_checkpoint-0.bin')
  assert moved.parent == tmp_path / '_earlier' / 'tiny' / folder.name


# What is remembered.


@pytest.fixture
def lowered(monkeypatch):
  """Texts that were made, where all source files are older than the process."""
  texts = []
  text = program._text
  monkeypatch.setattr(
    program, '_text', lambda traced: texts.append(1) or text(traced)
  )
  monkeypatch.setattr(program, '_STARTED', float('inf'))
  return texts


@pytest.fixture
def mine(tmp_path, monkeypatch):
  """The file of a module that this process has imported from a user."""
  path = tmp_path / 'initlab_test_mine.py'
  path.write_text('FACTOR = 1')
  monkeypatch.syspath_prepend(tmp_path)
  module = importlib.import_module(path.stem)
  yield path
  del sys.modules[module.__name__]


def test_nothing_is_lowered_twice_from_the_same_files(tmp_path, lowered, mine):
  out = tmp_path / 'results'
  settings = [_Config(scale=scale) for scale in (1.0, 2.0)]
  run = functools.partial(_study, out, settings=settings, from_files=True)
  run()
  assert len(lowered) == 4  # start, advance, record and join, of both
  run()
  assert len(lowered) == 4
  mine.write_text('FACTOR = 2')
  run()
  assert len(lowered) == 8
  mine.write_text('FACTOR = 1')
  run()
  assert len(lowered) == 8
  (out / 'tiny' / '_programs.json').write_text('[1')
  with pytest.warns(UserWarning, match='_programs.json is broken'):
    assert run()[1] == 0
  assert len(lowered) == 12
  assert pd.read_parquet(out / 'tiny').program.nunique() == 1


def test_a_notebook_is_never_answered_from_memory(tmp_path, lowered):
  _study(tmp_path, _DRAWING, from_files=True)
  _study(tmp_path, _DRAWING)
  assert len(lowered) == 2


@pytest.mark.usefixtures('lowered')
def test_a_file_that_may_be_newer_than_its_import_is_not_trusted(
  tmp_path, mine, monkeypatch
):
  assert program.recall(tmp_path / 'none', 'highest').sources
  monkeypatch.setattr(program, '_STARTED', mine.stat().st_mtime)
  assert not program.recall(tmp_path / 'none', 'highest').sources
  monkeypatch.setattr(program, '_STARTED', float('inf'))
  mine.unlink()
  assert not program.recall(tmp_path / 'none', 'highest').sources


def test_the_launchers_files_are_no_part_of_a_program():
  rooms = {path.parent.name for path in program.package_files(program._APART)}
  assert {'initlab', 'engine', 'instruments'} <= rooms
  assert not {'report', 'launch', 'plots'} & rooms


# What is not compiled.


def test_what_is_not_compiled_is_named_by_its_source(tmp_path, monkeypatch):
  path = tmp_path / 'initlab_test_page.py'
  path.write_text('class Config: pass')
  monkeypatch.syspath_prepend(tmp_path)
  config = importlib.import_module(path.stem).Config
  experiment = _TINY._replace(compiled=False, training=None)
  experiment = experiment._replace(config=config)
  name = functools.partial(_name, experiment, _Config())
  first = name()
  assert first == name()
  path.write_text('class Config: pass  # edited')
  assert name().program != first.program
  del sys.modules[path.stem].__file__
  with pytest.raises(base.UserError, match='tiny is defined in no file'):
    name()
  del sys.modules[path.stem]


@pytest.mark.slow
def test_a_finished_sweep_of_200_settings_answers_within_10_s(tmp_path):
  """The whole program, 3 s of imports and the page's check included."""
  rates = ','.join(f'{0.1 + place / 1000:.3f}' for place in range(200))
  flags = [
    *('--dataset=xor', '--widths=4', '--batch_size=3', '--steps=2'),
    *('--record_every=1', '--test_size=4', '--examples=4', '--seeds=0:2'),
    *(f'--learning_rate={rates}', f'--out={tmp_path}'),
    '--compile_cache=none',
  ]
  first = programs.finish(programs.start('learning', *flags))
  begin = time.monotonic()
  second = programs.finish(programs.start('learning', *flags))
  assert time.monotonic() - begin < 10
  assert second == first
