"""Data sets: table `DATASETS`. Nothing is downloaded.

Pixels of every image set lie in [-1, 1], 2 v / v_max - 1, as in Shapeset's own
program; Glorot & Bengio state no normalization for the others. Colour images
are red, green, blue planes in a row.

Splits are fixed: those of generated sets are drawn from a root key of this
module, those of files are the first and last parts of the files, as in Glorot &
Bengio 2010, section 2.1 (the last 10,000 training images validate).

Files are searched under a data folder and verified by checksum before they are
read; `scripts/fetch_data` downloads them.
"""

from collections.abc import Callable
import functools
import gzip
import math
import os
import zlib

import jax
import jax.numpy as jnp
import numpy as np

from initlab import base, functions, keys, own_data, published, shapeset

SPLITS = own_data.SPLITS
VALID_SIZE = 10_000
CIFAR_SIZE = 3 * 32 * 32
GAUSSIAN_SIZE = 64

_KEPT = 8  # cached splits per data set


# Files.


def find(dataset: str, file: str, data_dir: str) -> str:
  """The path of a file of a set, its checksum verified.

  Args:
    dataset: a key of `published.FOLDERS`.
    file: its name, without `.gz`; the packed file is tried first.
    data_dir: the folder that holds the folder of each set.

  Returns:
    A path.

  Raises:
    UserError: the file is missing (the message lists the paths tried), or
      differs from the published one.
  """
  digests = published.CHECKSUMS[dataset]
  tried = [
    os.path.join(data_dir, folder, name)
    for folder in published.FOLDERS[dataset]
    for name in (f'{file}.gz', file)
    if name in digests
  ]
  for path in tried:
    if os.path.exists(path):
      verify(path, digests[os.path.basename(path)])
      return path
  raise base.UserError(
    f'{dataset} needs {file}, which is not at {" nor at ".join(tried)}; '
    f'`scripts/fetch_data {dataset}` fetches it'
  )


def verify(path: str, expected: str) -> None:
  """Compares a file's SHA-256 (64 digits) or MD5 (32 digits).

  Raises:
    UserError: the checksum differs, or the file cannot be read.
  """
  algorithm = published.algorithm(expected)
  try:
    found = published.digest(path, algorithm)
  except OSError as error:
    raise base.UserError(f'cannot read {path}: {error.strerror}') from error
  if found != expected:
    raise base.UserError(
      f'{path} is not the published file: its {algorithm} is {found}, not '
      f'{expected}; remove it and fetch it again'
    )


def read_idx(path: str) -> np.ndarray:
  """An IDX file of unsigned bytes, the format of MNIST, plain or `.gz`.

  Two zero bytes, 8 for unsigned bytes, the number of axes, the length of each
  axis as a big-endian 32-bit integer, and the values, last axis fastest.

  Returns:
    A uint8 array of the shape that the file declares.

  Raises:
    UserError: the file cannot be read, has another format, or is shorter or
      longer than it declares.
  """
  data = _read(path)
  if len(data) < 4 or data[:3] != b'\0\0\x08':
    raise base.UserError(f'{path} is not an IDX file of unsigned bytes')
  start = 4 + 4 * data[3]
  if len(data) < start:
    raise base.UserError(f'{path} ends within its header')
  shape = tuple(np.frombuffer(data[4:start], '>u4').tolist())
  if len(data) - start != math.prod(shape):
    raise base.UserError(
      f'{path} holds {len(data) - start} values, not the {math.prod(shape)} '
      'that it declares'
    )
  return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_cifar(path: str) -> tuple[np.ndarray, np.ndarray]:
  """A file of CIFAR-10's binary form: records of a label and 3072 pixels.

  Returns:
    uint8 arrays, pixels `[N, 3072]` and labels `[N]`.

  Raises:
    UserError: the file cannot be read, contains incomplete records, or a label
      above 9.
  """
  data = np.frombuffer(_read(path), np.uint8)
  if not data.size or data.size % (1 + CIFAR_SIZE):
    raise base.UserError(
      f'{path} holds {data.size} bytes, not whole CIFAR-10 records of '
      f'{1 + CIFAR_SIZE}'
    )
  records = data.reshape(-1, 1 + CIFAR_SIZE)
  if records[:, 0].max() > 9:
    raise base.UserError(f'{path} is not CIFAR-10: it holds a label above 9')
  return records[:, 1:], records[:, 0]


def _read(path: str) -> bytes:
  try:
    with open(path, 'rb') as file:
      data = file.read()
    return gzip.decompress(data) if path.endswith('.gz') else data
  except (OSError, EOFError, zlib.error) as error:
    raise base.UserError(f'cannot read {path}: {error}') from error


# Finite sets: `load(split, data_dir)` gives all of a split.


def _mnist(
  split: str, data_dir: str, *, dataset: str
) -> tuple[np.ndarray, np.ndarray]:
  part = 't10k' if split == 'test' else 'train'
  images = read_idx(find(dataset, f'{part}-images-idx3-ubyte', data_dir))
  labels = read_idx(find(dataset, f'{part}-labels-idx1-ubyte', data_dir))
  held = {
    'train': slice(None, -VALID_SIZE),
    'valid': slice(-VALID_SIZE, None),
    'test': slice(None),
  }[split]
  return _pixels(images[held].reshape(-1, 28 * 28), 255), labels[held]


def _cifar10(split: str, data_dir: str) -> tuple[np.ndarray, np.ndarray]:
  files = {
    'train': [f'data_batch_{i}.bin' for i in (1, 2, 3, 4)],
    'valid': ['data_batch_5.bin'],
    'test': ['test_batch.bin'],
  }[split]
  parts = [read_cifar(find('cifar10', file, data_dir)) for file in files]
  images, labels = (np.concatenate(a) for a in zip(*parts, strict=True))
  return _pixels(images, 255), labels


def _digits(split: str, data_dir: str) -> tuple[np.ndarray, np.ndarray]:
  """A fixed shuffle, with the classes interleaved.

  The first 300 images are the test split, the next 300 the validation split (30
  per class each), and 1197 the training split (114 to 123 per class). The first
  examples of any split are balanced, too, except near the end of the training
  split.
  """
  del data_dir
  try:
    from sklearn import datasets as sklearn_datasets
  except ImportError:
    raise base.UserError(
      'digits come with scikit-learn: pip install initlab[data]'
    ) from None
  images, labels = sklearn_datasets.load_digits(return_X_y=True)
  # NumPy guarantees the stream of RandomState never to change.
  order = np.random.RandomState(0).permutation(len(labels))
  rank = np.zeros(len(labels), int)
  for label in range(10):
    rank[labels[order] == label] = np.arange(np.sum(labels == label))
  order = order[np.argsort(rank, kind='stable')]
  held = {
    'train': slice(600, None),
    'valid': slice(300, 600),
    'test': slice(None, 300),
  }[split]
  return _pixels(images[order[held]], 16), labels[order[held]]


def _xor(split: str, data_dir: str) -> tuple[np.ndarray, np.ndarray]:
  del split, data_dir
  x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
  return x, x[:, 0] ^ x[:, 1]


def _pixels(values: np.ndarray, top: int) -> np.ndarray:
  return 2 * (values.astype(np.float32) / top) - 1


# Generated sets: `draw(key, size)`.


def _gaussian(key: base.Key, size: int) -> base.Batch:
  """x ~ N(0, I), y = argmax(x W), W `[64, 10]` ~ N(0, 1) the fixed teacher."""
  teacher = jax.random.normal(
    _constant('gaussian', 'teacher'), (GAUSSIAN_SIZE, 10)
  )
  index = jnp.arange(size, dtype=jnp.uint32)
  one = lambda i: jax.random.normal(keys.at(key, i), (GAUSSIAN_SIZE,))
  x = jax.vmap(one)(index)
  logits = jnp.dot(x, teacher, precision=jax.lax.Precision.HIGHEST)
  return base.Batch(x, logits.argmax(-1).astype(jnp.int32))


def _constant(dataset: str, name: str) -> base.Key:
  """A key of this module, independent of the seeds of a run."""
  root = keys.stream(keys.root(2010), 'datasets')
  return keys.stream(keys.stream(root, dataset), name)


# Splits, cached.


class TooFew(base.UserError):
  """A split has fewer examples than are asked for."""


def _finite(dataset: str, load: Callable) -> Callable:
  @functools.lru_cache(maxsize=_KEPT)
  def split(name: str, size: int | None, data_dir: str) -> base.Batch:
    _check(dataset, name, size)
    x, y = load(name, data_dir)
    if size is not None and size > len(y):
      raise TooFew(
        f'{size} examples of {dataset}: its {name} split has {len(y)}'
      )
    return base.Batch(
      jnp.asarray(x[:size], jnp.float32), jnp.asarray(y[:size], jnp.int32)
    )

  return split


def _generated(dataset: str, draw: Callable) -> Callable:
  drawn = jax.jit(draw, static_argnums=1)

  @functools.lru_cache(maxsize=_KEPT)
  def split(name: str, size: int | None, data_dir: str) -> base.Batch:
    del data_dir
    _check(dataset, name, size)
    if size is None:
      raise base.UserError(f'{dataset} is endless: give a number of examples')
    return drawn(_constant(dataset, name), size)

  return split


def _check(dataset: str, name: str, size: int | None) -> None:
  if name not in SPLITS:
    raise base.UserError(
      f'unknown split {name!r} of {dataset} (there are {", ".join(SPLITS)})'
    )
  if size is not None and size < 1:
    raise base.UserError(f'{size} examples of {dataset}: ask for one or more')


DATASETS: dict[str, base.Dataset] = {
  'shapeset': base.Dataset(
    input_size=shapeset.SIDE**2,
    num_classes=shapeset.NUM_CLASSES,
    split=_generated('shapeset', shapeset.draw),
    draw=shapeset.draw,
    doc='Shapeset-3x2, one or two shapes on 32x32 pixels in [-1, 1], endless '
    '(Glorot & Bengio 2010)',
  ),
  'digits': base.Dataset(
    input_size=8 * 8,
    num_classes=10,
    split=_finite('digits', _digits),
    draw=None,
    doc='handwritten digits, 8x8 pixels in [-1, 1], 1197 + 300 + 300 '
    '(scikit-learn)',
  ),
  'gaussian': base.Dataset(
    input_size=GAUSSIAN_SIZE,
    num_classes=10,
    split=_generated('gaussian', _gaussian),
    draw=_gaussian,
    doc='64 inputs from N(0, 1), classes from a random linear teacher, endless',
  ),
  'xor': base.Dataset(
    input_size=2,
    num_classes=2,
    split=_finite('xor', _xor),
    draw=None,
    doc='exclusive or: the four points of {0, 1}^2, the same in every split',
  ),
  'mnist': base.Dataset(
    input_size=28 * 28,
    num_classes=10,
    split=_finite('mnist', functools.partial(_mnist, dataset='mnist')),
    draw=None,
    doc='handwritten digits, 28x28 pixels in [-1, 1], 50,000 + 10,000 + 10,000 '
    '(LeCun et al. 1998)',
  ),
  'fashion_mnist': base.Dataset(
    input_size=28 * 28,
    num_classes=10,
    split=_finite(
      'fashion_mnist', functools.partial(_mnist, dataset='fashion_mnist')
    ),
    draw=None,
    doc='clothes, 28x28 pixels in [-1, 1], 50,000 + 10,000 + 10,000 '
    '(Xiao et al. 2017)',
  ),
  'cifar10': base.Dataset(
    input_size=CIFAR_SIZE,
    num_classes=10,
    split=_finite('cifar10', _cifar10),
    draw=None,
    doc='photographs, 32x32 colour pixels in [-1, 1], 40,000 + 10,000 + 10,000 '
    '(Krizhevsky 2009)',
  ),
}


def resolve(dataset: functions.Named) -> base.Dataset:
  """The data set named by a knob.

  Args:
    dataset: a key of `DATASETS`; or a function that returns arrays, see
      `own_data`, or its dotted path, as mylab.data.mine.

  Raises:
    UserError: there is no such data set, or the function does not return one.
  """
  if callable(dataset):
    functions.hashable(dataset)
    return _own(dataset)
  if '.' in dataset:
    return _own(functions.imported(dataset))
  return functions.lookup(DATASETS, 'dataset', dataset)


def most(
  dataset: base.Dataset, name: str, size: int, data_dir: str
) -> base.Batch:
  """The first `size` examples of a split, or all if there are fewer."""
  if dataset.draw is None:
    size = min(size, len(dataset.split(name, None, data_dir).y))
  return dataset.split(name, size, data_dir)


def named(dataset: functions.Named) -> functions.Named:
  """The same, if there is such a data set.

  Raises:
    UserError: as `resolve`.
  """
  resolve(dataset)
  return dataset


@functools.cache
def _own(function: Callable[[], object]) -> base.Dataset:
  label, splits = functions.label(function), own_data.splits(function)

  def load(name: str, data_dir: str) -> own_data.Pair:
    del data_dir
    if name not in splits:
      raise base.UserError(
        f'{label} has no split {name!r}, only {", ".join(splits)}'
      )
    return splits[name]

  return base.Dataset(
    input_size=next(iter(splits.values()))[0].shape[1],
    num_classes=1 + max(int(y.max()) for _, y in splits.values()),
    split=_finite(label, load),
    draw=None,
    doc=f'the arrays that {label} returns',
  )
