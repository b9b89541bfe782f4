"""TensorBoard's files hold the curves that the report draws."""

import struct
import sys

import numpy as np
import pytest
from tensorboardX.crc32c import crc32c
from tensorboardX.proto import event_pb2

from initlab import launch, stats
from initlab.experiment import Outcome
from initlab.instruments import learning, variance
from initlab.report import tensorboard

_TINY = (
  '--dataset=xor',
  '--widths=5',
  '--batch_size=3',
  '--steps=4',
  '--record_every=2',
  '--examples=4',
  '--test_size=4',
  '--seeds=0:3',
  '--compile_cache=none',
  '--tensorboard',
)


def _read(content):
  """Events of a file: length, its checksum, the event, its checksum."""
  found = []
  while content:
    head, (length,) = content[:8], struct.unpack('<Q', content[:8])
    event = content[12 : 12 + length]
    for part, at in ((head, 8), (event, 12 + length)):
      crc = crc32c(part)
      masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
      assert struct.unpack('<I', content[at : at + 4]) == (masked,)
    found.append(event_pb2.Event.FromString(event))
    content = content[16 + length :]
  return found


def _scalars(content):
  """`{(tag, step): value}`."""
  header, *rest = _read(content)
  assert header.file_version == 'brain.Event:2'
  return {
    (value.tag, event.step): value.simple_value
    for event in rest
    for value in event.summary.value
  }


def _outcome():
  rng = np.random.default_rng(0)
  error, deep = rng.uniform(size=(5, 3)), rng.uniform(size=(5, 3, 2))
  error[:, 2] = np.nan
  axes = {'error': ('step',), 'saturated': ('step', 'layer'), 'last': ()}
  measured = {'error': error, 'saturated': deep, 'last': error[:, 0]}
  return Outcome(
    None, 'he, relu', np.arange(5), measured, {}, (0, 10, 30), axes
  )


@pytest.mark.parametrize('field', ['error', 'saturated'])
def test_what_ranges_over_decades_has_its_geometric_mean(field):
  outcome = _outcome()._replace(geometric=frozenset({field}))
  expected = stats.geometric_mean(outcome.measured[field]).value[:2]
  path, data = next(iter(tensorboard.files([outcome])))
  assert path.split('/')[1] == 'mean'
  tags = {'error': ['error'], 'saturated': ['saturated/layer_1']}[field]
  for tag, column in zip(tags, expected.reshape(2, -1).T, strict=False):
    got = [_scalars(data)[(tag, step)] for step in (0, 10)]
    np.testing.assert_array_equal(got, column.astype(np.float32))


def test_mean_and_interval_of_every_curve():
  outcome = _outcome()
  found = {path: _scalars(data) for path, data in tensorboard.files([outcome])}
  folder = '00-he-relu'
  names = ('mean', 'interval_low', 'interval_high')
  error = stats.mean(outcome.measured['error'])
  deep = stats.mean(outcome.measured['saturated'])
  for place, name in enumerate(names):
    scalars = found.pop(f'{folder}/{name}/events.out.tfevents.0')
    assert len(scalars) == 2 + 2 * 3
    for at, step in enumerate((0, 10)):
      expected = np.float32(error[place][at])
      assert scalars[('error', step)] == expected
    for at, step in enumerate((0, 10, 30)):
      expected = np.float32(deep[place][at, 1])
      assert scalars[('saturated/layer_2', step)] == expected
  assert not found


def test_equal_results_make_equal_files():
  first, second = (list(tensorboard.files([_outcome()])) for _ in range(2))
  assert first == second


def _main(experiment, tmp_path, *argv):
  with pytest.raises(SystemExit) as exit_:
    out = f'--out={tmp_path / "out"}'
    launch.main(experiment._replace(panels=()), ['_', *argv, out])
  return exit_.value.code


@pytest.mark.slow
def test_the_program_writes_them_beside_its_report(tmp_path, capsys):
  argv = *_TINY, '--init=glorot,he'
  assert _main(learning.EXPERIMENT, tmp_path, *argv) == 0
  (page,) = tmp_path.rglob('report.html')
  folder = page.parent / 'tensorboard'
  assert str(folder) in capsys.readouterr().out
  names = sorted(path.parent.parent.name for path in folder.rglob('*tfevents*'))
  assert names == ['00-glorot'] * 3 + ['01-he'] * 3
  (mean, *_) = sorted(folder.rglob('mean/*'))
  tags = {tag for tag, _ in _scalars(mean.read_bytes())}
  assert {'error', 'train_loss', 'saturated/layer_2'} <= tags


def test_without_the_package_one_line_says_so(tmp_path, capsys, monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorboardX', None)
  assert _main(learning.EXPERIMENT, tmp_path, *_TINY) == 1
  error = capsys.readouterr().err
  assert error.count('\n') == 1
  assert 'pip install initlab[tensorboard]' in error
  assert not list(tmp_path.rglob('*.*'))


def test_without_steps_there_are_no_curves(tmp_path, capsys):
  assert _main(variance.EXPERIMENT, tmp_path, '--tensorboard') == 1
  assert 'variance has no learning curves' in capsys.readouterr().err
