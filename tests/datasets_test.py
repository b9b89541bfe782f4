"""Every entry of DATASETS, and files of each format that the tests write."""

import gzip
import hashlib
import importlib.util
import os
import pathlib
import subprocess
import sys
import tarfile

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn import datasets as bundled

from initlab import base, datasets, published

GENERATED = ('shapeset', 'gaussian')
BUNDLED = ('digits', 'xor')
FILES = ('mnist', 'fashion_mnist', 'cifar10')
SCRIPT = pathlib.Path(__file__).parents[1] / 'scripts' / 'fetch_data'
PIXELS = np.random.RandomState(0).randint(0, 256, (12, 28, 28), np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 10


def idx(values):
  """The bytes of an IDX file."""
  sizes = np.array(values.shape, '>u4').tobytes()
  return bytes([0, 0, 8, values.ndim]) + sizes + values.tobytes()


def cifar(count, seed):
  """Random records `[count, 3073]` of CIFAR-10's binary form."""
  random = np.random.RandomState(seed)
  records = random.randint(0, 256, (count, 3073), np.uint8)
  records[:, 0] %= 10
  return records


def publish(monkeypatch, dataset, path):
  """Makes a file that a test wrote the published one of its name."""
  content = path.read_bytes()
  monkeypatch.setitem(
    published.CHECKSUMS[dataset],
    path.name,
    hashlib.sha256(content).hexdigest(),
  )


def write_mnist(monkeypatch, folder, dataset, suffix='.gz'):
  """All four files, their training set of 10,003 images."""
  folder.mkdir(parents=True)
  train = np.resize(PIXELS, (datasets.VALID_SIZE + 3, 28, 28))
  labels = np.resize(LABELS, len(train))
  contents = {
    'train-images-idx3-ubyte': train,
    'train-labels-idx1-ubyte': labels,
    't10k-images-idx3-ubyte': PIXELS,
    't10k-labels-idx1-ubyte': LABELS,
  }
  for name, values in contents.items():
    path = folder / (name + suffix)
    data = idx(values)
    path.write_bytes(gzip.compress(data, 1) if suffix else data)
    publish(monkeypatch, dataset, path)
  return train, labels


def write_cifar(monkeypatch, folder):
  folder.mkdir(parents=True)
  records = {}
  for seed, name in enumerate(published.CHECKSUMS['cifar10']):
    records[name] = cifar(2, seed)
    (folder / name).write_bytes(records[name].tobytes())
    publish(monkeypatch, 'cifar10', folder / name)
  return records


def check(batch, dataset, size):
  chex.assert_shape(batch.x, (size, dataset.input_size))
  chex.assert_shape(batch.y, (size,))
  chex.assert_type(batch.x, jnp.float32)
  chex.assert_type(batch.y, jnp.int32)
  assert np.isfinite(batch.x).all()
  assert batch.y.min() >= 0 and batch.y.max() < dataset.num_classes


def test_the_table_is_whole():
  assert set(datasets.DATASETS) == {*GENERATED, *BUNDLED, *FILES}
  for name, dataset in datasets.DATASETS.items():
    assert (dataset.draw is not None) == (name in GENERATED)
    assert dataset.doc and '\n' not in dataset.doc


@pytest.mark.parametrize('name', GENERATED)
def test_generated_splits_are_facts(name):
  dataset = datasets.DATASETS[name]
  splits = {s: dataset.split(s, 50, 'nowhere') for s in datasets.SPLITS}
  for batch in splits.values():
    check(batch, dataset, 50)
  for other in ('valid', 'test'):
    assert np.any(splits['train'].x != splits[other].x, axis=1).all()
  again = dataset.split('train', 50, 'elsewhere')
  chex.assert_trees_all_equal(again, splits['train'])
  with pytest.raises(base.UserError, match='endless'):
    dataset.split('train', None, '')


def test_gaussian_draws_the_same_inputs_under_vmap():
  dataset = datasets.DATASETS['gaussian']
  seeds = jax.vmap(jax.random.key)(jnp.arange(3))
  batch = jax.jit(jax.vmap(lambda key: dataset.draw(key, 20)))(seeds)
  alone = jax.jit(dataset.draw, static_argnums=1)(seeds[1], 20)
  check(alone, dataset, 20)
  chex.assert_trees_all_equal(alone, jax.tree.map(lambda a: a[1], batch))


def test_gaussian_is_normal_and_its_labels_are_linear():
  x, y = datasets.DATASETS['gaussian'].split('train', 20_000, '')
  few = datasets.DATASETS['gaussian'].split('train', 50, '')
  np.testing.assert_array_equal(few.x, x[:50])
  np.testing.assert_array_equal(few.y, y[:50])
  x = np.asarray(x, np.float64)
  # 1,280,000 numbers: standard errors of the mean 1/sqrt(N) and of the mean
  # square sqrt(2/N).
  assert abs(x.mean()) < 4 / np.sqrt(x.size)
  assert abs((x**2).mean() - 1) < 4 * np.sqrt(2 / x.size)
  assert len(np.unique(y)) == 10
  # A linear model fitted by least squares to the labels predicts them far above
  # the share of the most frequent one.
  targets = np.eye(10)[np.asarray(y)]
  weights = np.linalg.lstsq(x[:10_000], targets[:10_000], rcond=None)[0]
  accuracy = np.mean((x[10_000:] @ weights).argmax(1) == y[10_000:])
  assert accuracy > np.bincount(y).max() / len(y) + 0.3


def test_digits():
  dataset = datasets.DATASETS['digits']
  sizes = {'train': 1197, 'valid': 300, 'test': 300}
  splits = {s: dataset.split(s, None, 'nowhere') for s in sizes}
  for name, size in sizes.items():
    check(splits[name], dataset, size)
    counts = np.bincount(splits[name].y)
    assert counts.max() - counts.min() <= (9 if name == 'train' else 0)
    first = np.bincount(dataset.split(name, 200, '').y)
    np.testing.assert_array_equal(first, 20)
  x = np.concatenate([batch.x for batch in splits.values()])
  y = np.concatenate([batch.y for batch in splits.values()])
  assert x.min() == -1 and x.max() == 1
  # Together they are the bundled set, each image once, labels beside images.
  images, labels = bundled.load_digits(return_X_y=True)
  found = np.column_stack([(x + 1) * 8, y])
  expected = np.column_stack([images, labels])
  np.testing.assert_array_equal(
    found[np.lexsort(found.T)], expected[np.lexsort(expected.T)]
  )


def test_digits_without_scikit_learn(monkeypatch):
  monkeypatch.setitem(sys.modules, 'sklearn', None)
  with pytest.raises(base.UserError, match=r'pip install initlab\[data\]'):
    datasets.DATASETS['digits'].split('train', 11, '')


@pytest.mark.parametrize('split', datasets.SPLITS)
def test_xor(split):
  batch = datasets.DATASETS['xor'].split(split, None, '')
  check(batch, datasets.DATASETS['xor'], 4)
  assert batch.x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
  assert batch.y.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize(
  ('name', 'folder', 'suffix'),
  [
    ('mnist', 'mnist', '.gz'),
    ('mnist', 'MNIST/raw', ''),
    ('fashion_mnist', 'fashion_mnist', '.gz'),
    ('fashion_mnist', 'FashionMNIST/raw', '.gz'),
  ],
)
def test_idx_sets(monkeypatch, tmp_path, name, folder, suffix):
  images, labels = write_mnist(monkeypatch, tmp_path / folder, name, suffix)
  dataset = datasets.DATASETS[name]
  for split, held in (
    ('train', slice(3)),
    ('valid', slice(3, None)),
    ('test', slice(12)),
  ):
    batch = dataset.split(split, None, str(tmp_path))
    check(batch, dataset, len(images[held]))
    pixels = images[held].reshape(-1, 784)
    # 2 v / 255 - 1 in float32: rounded thrice, the last to an ulp of 1.
    np.testing.assert_allclose(batch.x, 2.0 * pixels / 255 - 1, atol=2e-7)
    np.testing.assert_array_equal(batch.y, labels[held])
    assert batch.x.min() == -1 and batch.x.max() == 1
  with pytest.raises(base.UserError, match=r'4 examples.*train split has 3'):
    dataset.split('train', 4, str(tmp_path))


def test_cifar10(monkeypatch, tmp_path):
  folder = tmp_path / 'cifar-10-batches-bin'
  records = write_cifar(monkeypatch, folder)
  dataset = datasets.DATASETS['cifar10']
  for split, files in (
    ('train', [f'data_batch_{i}.bin' for i in range(1, 5)]),
    ('valid', ['data_batch_5.bin']),
    ('test', ['test_batch.bin']),
  ):
    expected = np.concatenate([records[file] for file in files])
    batch = dataset.split(split, None, str(tmp_path))
    check(batch, dataset, len(expected))
    np.testing.assert_allclose(
      batch.x, 2.0 * expected[:, 1:] / 255 - 1, atol=2e-7
    )
    np.testing.assert_array_equal(batch.y, expected[:, 0])
  assert len(dataset.split('train', 3, str(tmp_path)).y) == 3


@pytest.mark.parametrize('shape', [(), (5,), (4, 3), (2, 3, 4), (0, 28)])
@pytest.mark.parametrize('suffix', ['', '.gz'])
def test_idx_round_trip(tmp_path, shape, suffix):
  values = np.random.RandomState(1).randint(0, 256, shape).astype(np.uint8)
  path = tmp_path / f'file{suffix}'
  path.write_bytes(gzip.compress(idx(values)) if suffix else idx(values))
  found = datasets.read_idx(str(path))
  assert found.dtype == np.uint8 and found.shape == shape
  np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'', 'not an IDX file'),
    (b'\0\0\x0d\1\0\0\0\1\0\0\0\0', 'not an IDX file of unsigned bytes'),
    (b'PK\3\4 and so on', 'not an IDX file'),
    (b'\0\0\x08\3\0\0\0\1\0\0', 'ends within its header'),
    (idx(PIXELS)[:-1], '9407 values, not the 9408'),
    (idx(PIXELS) + b'\0', '9409 values, not the 9408'),
  ],
)
def test_spoilt_idx_files(tmp_path, content, message):
  path = tmp_path / 'spoilt'
  path.write_bytes(content)
  with pytest.raises(base.UserError, match=message) as caught:
    datasets.read_idx(str(path))
  assert str(path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('spoil', [lambda b: b[:-9], lambda b: b'no gzip' + b])
def test_spoilt_gzip(tmp_path, spoil):
  path = tmp_path / 'spoilt.gz'
  path.write_bytes(spoil(gzip.compress(idx(PIXELS))))
  with pytest.raises(base.UserError, match='cannot read'):
    datasets.read_idx(str(path))


@pytest.mark.parametrize(
  ('content', 'message'),
  [
    (b'', 'whole CIFAR-10 records'),
    (cifar(2, 0).tobytes()[:-1], '6145 bytes'),
    (b'\x0a' + bytes(3072), 'label above 9'),
  ],
)
def test_spoilt_cifar_files(tmp_path, content, message):
  path = tmp_path / 'spoilt.bin'
  path.write_bytes(content)
  with pytest.raises(base.UserError, match=message) as caught:
    datasets.read_cifar(str(path))
  assert str(path) in str(caught.value)


@pytest.mark.parametrize('name', FILES)
def test_a_missing_file_names_what_was_tried(tmp_path, name):
  with pytest.raises(base.UserError) as caught:
    datasets.DATASETS[name].split('train', 10, str(tmp_path))
  message = str(caught.value)
  assert f'scripts/fetch_data {name}' in message and '\n' not in message
  for folder in published.FOLDERS[name]:
    assert str(tmp_path / folder) in message


@pytest.mark.parametrize('name', FILES)
def test_another_file_is_refused(tmp_path, name):
  folder = tmp_path / published.FOLDERS[name][0]
  folder.mkdir()
  file, expected = next(iter(published.CHECKSUMS[name].items()))
  (folder / file).write_bytes(b'something else')
  with pytest.raises(base.UserError) as caught:
    datasets.DATASETS[name].split('train', 10, str(tmp_path))
  message = str(caught.value)
  algorithm = hashlib.sha256 if len(expected) == 64 else hashlib.md5
  found = algorithm(b'something else').hexdigest()
  assert all(part in message for part in (str(folder / file), found, expected))


def test_a_folder_in_place_of_a_file(tmp_path):
  (tmp_path / 'mnist' / 'train-images-idx3-ubyte.gz').mkdir(parents=True)
  with pytest.raises(base.UserError, match='cannot read'):
    datasets.DATASETS['mnist'].split('train', 10, str(tmp_path))


def test_digests_are_digests():
  for files in published.CHECKSUMS.values():
    assert len(set(files.values())) == len(files)
    for digest in files.values():
      assert len(digest) in (32, 64) and int(digest, 16)


@pytest.mark.parametrize('name', (*GENERATED, *BUNDLED, *FILES))
@pytest.mark.parametrize('size', [0, -1])
def test_sizes_below_one_are_refused(name, size):
  with pytest.raises(base.UserError, match=f'{size} examples of {name}'):
    datasets.DATASETS[name].split('train', size, 'nowhere')


@pytest.mark.parametrize('name', ['xor', 'gaussian', 'mnist'])
def test_unknown_splits_are_refused(name):
  with pytest.raises(base.UserError, match='train, valid, test'):
    datasets.DATASETS[name].split('training', 1, 'nowhere')


def test_more_than_there_are_is_refused():
  with pytest.raises(base.UserError, match=r'5 examples of xor.*has 4'):
    datasets.DATASETS['xor'].split('test', 5, '')


def test_the_default_data_dir(monkeypatch):
  monkeypatch.setenv('INITLAB_DATA_DIR', '/some/where')
  assert published.default_data_dir() == '/some/where'
  monkeypatch.delenv('INITLAB_DATA_DIR')
  monkeypatch.setenv('HOME', '/home/someone')
  assert published.default_data_dir() == '/home/someone/.cache/initlab/data'


# scripts/fetch_data, its mirrors replaced by folders.


@pytest.fixture
def script(monkeypatch):
  loader = importlib.machinery.SourceFileLoader('fetch_data', str(SCRIPT))
  spec = importlib.util.spec_from_loader('fetch_data', loader)
  assert spec is not None
  module = importlib.util.module_from_spec(spec)
  monkeypatch.setattr(sys, 'dont_write_bytecode', True)
  loader.exec_module(module)
  # Its own copy would not see the checksums that a test replaces.
  monkeypatch.setattr(module, 'published', published)
  return module


def names(folder):
  return sorted(p.name for p in folder.rglob('*') if p.is_file())


def test_fetch_a_folder_of_files(monkeypatch, tmp_path, script, capsys):
  source, target = tmp_path / 'source', tmp_path / 'target'
  write_mnist(monkeypatch, source, 'mnist')
  empty = (tmp_path / 'empty').as_uri() + '/'
  monkeypatch.setitem(script.MIRRORS, 'mnist', (empty, source.as_uri() + '/'))
  script.main(['mnist', '--data_dir', str(target)])
  assert names(target) == names(source)
  batch = datasets.DATASETS['mnist'].split('test', None, str(target))
  np.testing.assert_array_equal(batch.y, LABELS)
  # A spoilt file is fetched again, a whole one left alone.
  spoilt, whole = sorted((target / 'mnist').iterdir())[:2]
  spoilt.write_bytes(b'spoilt')
  before = whole.stat().st_mtime_ns
  capsys.readouterr()
  script.main(['mnist', '--data_dir', str(target)])
  assert str(spoilt) in capsys.readouterr().out
  assert whole.stat().st_mtime_ns == before
  datasets.DATASETS['mnist'].split('train', None, str(target))


def test_fetch_an_archive(monkeypatch, tmp_path, script):
  source = tmp_path / 'cifar-10-batches-bin'
  write_cifar(monkeypatch, source)
  archive = tmp_path / 'cifar.tar.gz'
  with tarfile.open(archive, 'w:gz') as tar:
    tar.add(source, 'cifar-10-batches-bin')
  monkeypatch.setitem(script.MIRRORS, 'cifar10', (archive.as_uri(),))
  target = tmp_path / 'target'
  script.main(['cifar10', '--data_dir', str(target)])
  assert names(target) == names(source)
  check(
    datasets.DATASETS['cifar10'].split('train', None, str(target)),
    datasets.DATASETS['cifar10'],
    8,
  )


@pytest.mark.parametrize('mirror', ['folder/', 'cut.tar.gz', 'poor.tar.gz'])
def test_fetch_leaves_nothing_half_written(
  monkeypatch, tmp_path, script, mirror
):
  source = tmp_path / 'cifar-10-batches-bin'
  write_cifar(monkeypatch, source)
  whole = tmp_path / 'whole.tar.gz'
  with tarfile.open(whole, 'w:gz') as tar:
    tar.add(source, 'cifar-10-batches-bin')
  (tmp_path / 'cut.tar.gz').write_bytes(whole.read_bytes()[:3000])
  with tarfile.open(tmp_path / 'poor.tar.gz', 'w:gz') as tar:
    tar.add(SCRIPT, 'else')
  (tmp_path / 'folder').mkdir()
  for name in published.CHECKSUMS['cifar10']:
    (tmp_path / 'folder' / name).write_bytes(b'another file')
  url = tmp_path.as_uri() + '/' + mirror
  monkeypatch.setitem(script.MIRRORS, 'cifar10', (url,))
  target = tmp_path / 'target'
  with pytest.raises(SystemExit) as caught:
    script.main(['cifar10', '--data_dir', str(target)])
  message = str(caught.value.code)
  assert message.startswith('fetch_data: cifar10 could not be fetched')
  assert url in message and '\n' not in message
  assert names(target) == []


def test_the_script_runs_by_itself(tmp_path):
  run = lambda *args: subprocess.run(
    [sys.executable, '-S', str(SCRIPT), *args],
    capture_output=True,
    text=True,
    env={**os.environ, 'INITLAB_DATA_DIR': str(tmp_path), 'COLUMNS': '999'},
  )
  shown = run('--help')
  assert shown.returncode == 0
  assert all(name in shown.stdout for name in (*FILES, str(tmp_path)))
  unknown = run('mnits')
  assert unknown.returncode != 0 and 'mnits' in unknown.stderr
  (tmp_path / 'mnist').write_bytes(b'a file where a folder must be')
  blocked = run('mnist')
  assert blocked.returncode == 1
  assert blocked.stderr.startswith('fetch_data: ')
  assert blocked.stderr.count('\n') == 1
  assert os.access(SCRIPT, os.X_OK)
