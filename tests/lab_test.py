"""What a notebook calls: its numbers are those of the command line."""

import copy
import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import initlab
from initlab import base, datasets, lab
from initlab.instruments import variance
from initlab.launch.flags import define_flags, read_settings
from initlab.models import verdict
from initlab.report import comparison
from tests.helpers import studies

_TINY = {'dataset': 'xor', 'examples': 4, 'widths': (6, 5)}


def test_the_package_has_all_that_a_notebook_calls():
  found = {name: getattr(initlab, name) for name in initlab.__all__}
  calls = {k: v for k, v in found.items() if not inspect.ismodule(v)}
  assert calls == {name: getattr(lab, name) for name in lab.__all__}


def test_a_plain_import_does_not_load_what_a_notebook_calls():
  code = "import sys, initlab; sys.exit('initlab.lab' in sys.modules)"
  subprocess.run([sys.executable, '-c', code], check=True)


@pytest.fixture(scope='module')
def report():
  return initlab.variance(init='he', bias=[0, 0.5], seeds=6, **_TINY)


@pytest.mark.slow
@pytest.mark.filterwarnings('ignore:1 settings:UserWarning')
def test_a_function_without_a_name_is_an_initializer(tmp_path):
  """Another one of the same name is another program, and is computed."""
  knobs = {**_TINY, 'seeds': 6, 'out': tmp_path}
  reports = [
    initlab.variance(
      init=lambda key, shape, dtype, scale=scale: (
        scale * jax.random.normal(key, shape, dtype)
      ),
      **knobs,
    )
    for scale in (1.0, 2.0)
  ]
  std = [each.outcomes[0].measured['activation_std'] for each in reports]
  assert (std[1] != std[0]).all()
  assert 'estimated from' in reports[0].verdict


def test_a_list_is_a_sweep(report):
  labels = [outcome.label for outcome in report.outcomes]
  assert labels == ['bias 0', 'bias 0.5']
  assert 'upward, the signal' in report.verdict
  rows = report.to_frame()
  assert len(rows) == 2 * 6 * 4  # layers 1 to 3, and the network as a whole
  assert sorted(set(rows.seed)) == list(range(6))
  table = report.compare(field='mean_loss')
  costs = [each.measured['mean_loss'] for each in report.outcomes]
  np.testing.assert_allclose(
    table.difference, [np.mean(costs[1] - costs[0])], rtol=1e-6
  )
  assert report.figure('gradient_std').axes
  assert 'gradient_std_depth' in report.figures
  html = report._repr_html_()
  assert '<svg' in html and 'upward, the signal' in html
  assert 'bias 0.5' in repr(report)


def test_a_notebook_and_a_page_compare_the_same_pairs(report):
  many = copy.copy(report)
  many.outcomes = tuple(
    report.outcomes[0]._replace(label=str(i), measured={'mean_loss': costs})
    for i, costs in enumerate(np.random.default_rng(0).random((6, 6)))
  )
  found = comparison.compare('mean_loss', many.outcomes)
  table = many.compare(field='mean_loss')
  assert len(table) == 5
  assert table.p_holm.tolist() == [each.holm for each in found]


def test_a_report_of_another_call_is_compared_by_seed(report):
  other = initlab.variance(init='he', bias=1.0, seeds=6, **_TINY)
  table = report.compare(other, field='mean_loss')
  assert len(table) == 2 and set(table.pairs) == set(table.total) == {6}
  fewer = initlab.variance(init='he', bias=1.0, seeds=[2, 5, 9], **_TINY)
  table = report.compare(fewer, field='mean_loss')
  assert set(table.pairs) == {2} and set(table.total) == {6}
  alone = initlab.variance(init='he', bias=1.0, seeds=[9], **_TINY)
  with pytest.raises(base.UserError, match='bias 0 and he share no seed'):
    report.compare(alone, field='mean_loss')
  with pytest.raises(base.UserError, match='unknown measure'):
    report.compare(other, field='activation_std')
  unpaired = initlab.variance(init='he', seeds=1, root_seed=1, **_TINY)
  with pytest.raises(base.UserError, match='root seeds 0 and 1'):
    report.compare(unpaired, field='mean_loss')


def test_the_rows_are_those_of_the_command_line(report, tmp_path):
  """Stored by one, they are found by the other, and nothing is computed."""
  flags = '--dataset=xor', '--examples=4', '--widths=6-5', '--seeds=0:3'
  studies.run(variance.EXPERIMENT, tmp_path, '--init=he', *flags)
  (shard,) = tmp_path.rglob('*.parquet')
  written = shard.stat().st_mtime_ns
  found = initlab.variance(init='he', seeds=3, out=tmp_path, **_TINY)
  assert list(tmp_path.rglob('*.parquet')) == [shard]
  assert shard.stat().st_mtime_ns == written
  rows = report.to_frame()
  rows = rows[(rows.bias == 0) & (rows.seed < 3)].reset_index(drop=True)
  one, other = (
    each.select_dtypes('number') for each in (found.to_frame(), rows)
  )
  assert one.equals(other) and 'gradient_std' in one


@pytest.mark.slow
def test_arrays_are_inputs_and_their_bytes_name_the_rows(report, tmp_path):
  """Those of a named set give its numbers, to the bit."""
  x, y = datasets.DATASETS['xor'].split('test', None, '')
  knobs = {'init': 'he', 'widths': (6, 5), 'seeds': 6}
  mine = initlab.variance(x=np.asarray(x), y=y, out=tmp_path, **knobs)
  named = report.to_frame()
  named = named[named.bias == 0].reset_index(drop=True)
  one, other = (
    each.select_dtypes('number') for each in (named, mine.to_frame())
  )
  assert one.equals(other) and 'gradient_std' in one
  (shard,) = tmp_path.rglob('*.parquet')
  written = shard.stat().st_mtime_ns
  initlab.variance(x=np.array(x), y=np.asarray(y), out=tmp_path, **knobs)
  assert list(tmp_path.rglob('*.parquet')) == [shard]
  assert shard.stat().st_mtime_ns == written
  moved = initlab.variance(x=np.asarray(x) + 1, y=y, out=tmp_path, **knobs)
  assert len(list((tmp_path / 'variance').rglob('*.parquet'))) == 2
  frame = moved.to_frame()
  assert not frame.gradient_std.equals(one.gradient_std)
  assert frame.dataset.iloc[0].startswith('array-')


@pytest.mark.slow
def test_arrays_are_learned(tmp_path):
  """Two clusters: 10 of 60 examples test, 40 train, and all are learned."""
  rng = np.random.default_rng(0)
  y = np.arange(60) % 2
  x = rng.normal(size=(60, 3)) + 8 * y[:, None] - 4
  report = initlab.learning(
    data=(x, y), widths=(4,), steps=60, batch_size=8, seeds=2, out=tmp_path
  )
  assert (report.outcomes[0].measured['final_error'] == 0).all()


def test_learning_without_a_split_says_which_is_missing():
  data = {'train': (np.eye(9), np.arange(9) % 2)}
  with pytest.raises(base.UserError, match=r"no split '(valid|test)', only tr"):
    initlab.learning(data=data, seeds=1)


@pytest.mark.parametrize(
  ('knobs', 'message'),
  [
    ({'x': np.eye(3), 'dataset': 'xor'}, 'one knob'),
    ({'y': np.arange(3)}, 'labels of an array x'),
    ({'x': ['xor', np.eye(3)], 'y': np.arange(3)}, 'of one only'),
    ({'x': np.arange(3.0)}, 'examples, inputs'),
    ({'x': 'xro'}, "did you mean 'xor'"),
  ],
)
def test_bad_inputs_are_one_sentence(knobs, message):
  with pytest.raises(base.UserError, match=message):
    initlab.variance(seeds=2, widths=(5, 5), **knobs)


def test_data_are_looked_for_where_the_command_line_does(monkeypatch, tmp_path):
  monkeypatch.setenv('INITLAB_DATA_DIR', str(tmp_path / 'nothing'))
  with pytest.raises(base.UserError, match=str(tmp_path / 'nothing')):
    initlab.variance(x='mnist', seeds=2, widths=(5, 5))


@pytest.mark.slow
def test_a_page_is_saved_where_it_is_asked_for(report, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  page = report.save('mine')
  assert page.read_text().count('<figure>') == len(report.figures)
  assert [path.name for path in tmp_path.iterdir()] == ['mine']
  values = define_flags(variance.EXPERIMENT)
  values(['_', '--flagfile=mine/flags.txt'])
  repeated = read_settings(variance.EXPERIMENT, values)
  assert repeated == [each.config for each in report.outcomes]


@pytest.mark.parametrize(
  ('knobs', 'message'),
  [
    ({'inti': 'he'}, "did you mean 'init'"),
    ({'init': 'hee'}, "did you mean 'he'"),
    ({'widths': []}, 'at least one value'),
    ({'examples': 0}, 'at least 1'),
    ({'seeds': []}, 'at least one seed'),
    ({'seeds': 0}, '--seeds=.*: at least one seed'),
    ({'seeds': 1.5}, '--seeds=1.5: number of seeds 1.5 is not an integer'),
    ({'seeds': [0, 1.5]}, '--seeds=.*: seed 1.5 is not an integer'),
    ({'root_seed': 0.5}, '--root_seed=0.5: it takes an integer'),
    ({'lanes': -1}, '--lanes=-1: it takes a whole number from 1'),
    ({'widths': 8}, '--widths=8: it takes a tuple of integers'),
    ({'widths': (8, 2.0)}, 'it takes a tuple of integers'),
    ({'examples': 3.5}, '--examples=3.5: it takes an integer'),
    ({'examples': True}, '--examples=True: it takes an integer'),
    ({'bias': 'much'}, '--bias=much: it takes a finite number'),
    ({'bias': None}, '--bias=None: it takes a finite number'),
  ],
)
def test_bad_arguments_are_one_sentence(knobs, message):
  with pytest.raises(base.UserError, match=message):
    initlab.variance(**knobs)


def _perceptron(gain):
  """Three layers, the second drawn `gain` times as large."""

  def init(key):
    keys = [initlab.keys.at(key, index) for index in range(3)]
    return [
      scale * jax.random.normal(each, (16, 16)) / 4
      for each, scale in zip(keys, (1.0, gain, 1.0), strict=True)
    ]

  def model(params, x):
    for w in params[:-1]:
      x = jnp.tanh(x @ w)
    return x @ params[-1]

  return init, model, jnp.linspace(-1, 1, 64).reshape(4, 16) ** 3


def test_an_audit_names_the_leaf_that_departs():
  healthy, broken = (
    initlab.audit(*_perceptron(gain), seeds=6) for gain in (1.0, 4.0)
  )
  assert not healthy.findings
  healthy.check()
  assert {each.leaf for each in broken.findings} == {'1'}
  assert 'too large' in broken.verdict
  with pytest.raises(verdict.VerdictError, match='too large'):
    broken.check()
  ratio = healthy.compare(broken).set_index(['kind', 'name', 'measure']).ratio
  np.testing.assert_allclose(ratio['leaf', '1', 'square'], 16, rtol=1e-5)
  np.testing.assert_allclose(ratio['leaf', '0', 'square'], 1)
  assert '<svg' in broken._repr_html_() and 'too large' in repr(broken)


def test_audits_are_compared_on_the_seeds_that_both_have():
  dead = lambda t: jnp.where(t < 0, 0 * t, t)  # zero for some seeds alone
  init = lambda key: jax.random.normal(key, (2,))
  model = lambda w, x: dead(x @ w)
  x = jnp.eye(2)[:1]
  one, two, three, other = (
    initlab.audit(init, model, x, **knobs)
    for knobs in (
      {'seeds': 8},
      {'seeds': range(2, 8)},
      {'seeds': [9]},
      {'seeds': 8, 'root_seed': 1},
    )
  )
  found = one.compare(two).set_index(['kind', 'measure'])
  assert found.pairs['leaf', 'square'] == 6
  assert set(found.total) == {8}
  alive = one.audit.activations[0].measured['output_square'][2:] > 0
  assert 0 < alive.sum() < 6
  assert found.pairs['activation', 'output_square'] == alive.sum()
  with pytest.raises(base.UserError, match='share no seed'):
    one.compare(three)
  with pytest.raises(base.UserError, match='root seeds 0 and 1'):
    one.compare(other)


def test_a_leaf_that_departs_is_drawn_anew():
  found = initlab.audit(*_perceptron(4.0), seeds=5)
  key = initlab.keys.root(3)
  mended = found.redraw(key, 'lecun_normal')
  assert mended.drawn == ('0', '1', '2') and not mended.left
  # 256 draws of variance 1/16: five standard errors of a variance.
  variance = float(jnp.mean(mended.params[1] ** 2))
  assert abs(16 * variance - 1) < 5 * (2 / 256) ** 0.5
  one = found.redraw(key, 'zeros', select='2')
  assert one.drawn == ('2',) and not one.params[2].any()
  np.testing.assert_array_equal(one.params[1], _perceptron(4.0)[0](key)[1])


def test_a_report_calibrates_what_was_drawn():
  init, model, x = _perceptron(4.0)
  found = initlab.audit(init, model, x, seeds=5)
  drawn = found.redraw(initlab.keys.root(3), 'orthogonal')
  new = found.calibrate(drawn.params, x)
  assert repr(new) == '3 leaves changed: 0, 1, 2'
  # To the tolerance of the calibration.
  np.testing.assert_allclose(jnp.std(model(new.params, x)), 1, rtol=1e-4)
  for old, now in zip(drawn.params, new.params, strict=True):
    ratio = now / old
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-5)
  drawing = found.calibrate(drawn.params, lambda key, size: x)
  for one, other in zip(new.params, drawing.params, strict=True):
    np.testing.assert_array_equal(one, other)


def test_a_coordinate_check_is_text_figure_page_and_frame(tmp_path):
  """Of one readout whose gradient step grows with the width."""

  def make(width):
    init = lambda key: jnp.zeros((width, 1))
    loss = lambda w, x: jnp.mean((x @ w - 1) ** 2)
    return init, loss, (jnp.ones((2, width)),)

  report = initlab.coordinate_check(
    make, (4, 8, 16), optimizer=optax.sgd(1e-3), steps=2, seeds=5
  )
  assert 'explodes' in repr(report)
  assert set(report.to_frame().width) == {4, 8, 16}
  assert len(report.figure().axes) == 2
  html = report._repr_html_()
  assert '<svg' in html and 'explodes' in html and '<table' in html
  page = report.save(tmp_path).read_text()
  assert 'explodes' in page and '<svg' in page
  assert len(pd.read_parquet(tmp_path / 'rows.parquet')) == len(
    report.to_frame()
  )
  # Against itself at the same seeds nothing differs, to the bit.
  same = report.compare(report)
  assert set(same.measure) == {'x_0', 'x_t - x_0'}
  moved = same[same.measure == 'x_t - x_0']
  assert (moved.difference == 0).all() and (moved.high == 0).all()


def test_a_plain_import_loads_neither_report_nor_launcher():
  code = (
    'import sys, initlab; '
    "print([m for m in sys.modules if 'initlab.report' in m or "
    "'initlab.lab' in m or m == 'matplotlib'])"
  )
  found = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert found.stdout.strip() == '[]'
