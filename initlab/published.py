"""The files of the public data sets: their names, folders and checksums.

It imports only the standard library, so that `scripts/fetch_data` can load it
without JAX.
"""

import hashlib
import os

DATA_DIR = '~/.cache/initlab/data'

# Subfolders of the data folder that are searched for the files of a set.
FOLDERS = {
  'mnist': ('mnist', 'MNIST/raw'),
  'fashion_mnist': ('fashion_mnist', 'FashionMNIST/raw'),
  'cifar10': ('cifar-10-batches-bin',),
}

# Checksums by file name, of all files read. MNIST: SHA-256, packed as pinned
# by tensorflow/haskell (tensorflow-mnist-input-data/Setup.hs) and
# ankane/torchvision-ruby, unpacked as pinned by several public projects.
# Fashion-MNIST: SHA-256 of the files whose MD5 its authors publish (README of
# zalandoresearch/fashion-mnist); no digest of the unpacked ones was found in
# public, so the packed ones are read. CIFAR-10: MD5 of the members of the
# binary archive, as pinned by rai-project/dldataset (vision/cifar10.go).
CHECKSUMS = {
  'mnist': {
    'train-images-idx3-ubyte.gz': (
      '440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609'
    ),
    'train-labels-idx1-ubyte.gz': (
      '3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c'
    ),
    't10k-images-idx3-ubyte.gz': (
      '8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6'
    ),
    't10k-labels-idx1-ubyte.gz': (
      'f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6'
    ),
    'train-images-idx3-ubyte': (
      'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db'
    ),
    'train-labels-idx1-ubyte': (
      '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5'
    ),
    't10k-images-idx3-ubyte': (
      '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7'
    ),
    't10k-labels-idx1-ubyte': (
      'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2'
    ),
  },
  'fashion_mnist': {
    'train-images-idx3-ubyte.gz': (
      '3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84'
    ),
    'train-labels-idx1-ubyte.gz': (
      'a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845'
    ),
    't10k-images-idx3-ubyte.gz': (
      '346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073'
    ),
    't10k-labels-idx1-ubyte.gz': (
      '67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5'
    ),
  },
  'cifar10': {
    'data_batch_1.bin': '5dd7e06a14cb22eb9f671a540d1b7c25',
    'data_batch_2.bin': '5ea93a67294ea407fff1d09f752e9692',
    'data_batch_3.bin': '942cd6a4bcdd0dd3c604fbe906cb4421',
    'data_batch_4.bin': 'ae636b3ba5c66a11e91e8cb52e771fcb',
    'data_batch_5.bin': '53f37980c15c3d472c316c40844f3f0d',
    'test_batch.bin': '803d5f7f4d78ea53de84dbe85f74fb6d',
  },
}


def default_data_dir() -> str:
  """$INITLAB_DATA_DIR if set, otherwise ~/.cache/initlab/data."""
  return os.path.expanduser(os.environ.get('INITLAB_DATA_DIR') or DATA_DIR)


def algorithm(checksum: str) -> str:
  """The algorithm of a checksum of CHECKSUMS: 'sha256' or 'md5'."""
  return {64: 'sha256', 32: 'md5'}[len(checksum)]


def digest(path: str | os.PathLike[str], algorithm: str) -> str:
  """The digest of a file in hexadecimal digits.

  Args:
    path: of the file.
    algorithm: 'sha256' or 'md5'.

  Raises:
    OSError: the file cannot be read.
  """
  with open(path, 'rb') as file:
    return hashlib.file_digest(file, algorithm).hexdigest()
