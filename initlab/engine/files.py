"""Files that are written whole or not at all, and set aside where broken."""

from collections.abc import Callable, Generator
import contextlib
import os
import pathlib
from typing import Any
import uuid
import warnings

from initlab import base

# What pyarrow and json raise on a content that is not what was written.
_BROKEN = (OSError, ValueError, LookupError, TypeError, NotImplementedError)


def write_text(path: str | os.PathLike, content: str) -> None:
  """`write_bytes` of UTF-8."""
  write_bytes(path, content.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
  """Writes a file whole or not at all, on disk before it bears its name.

  Args:
    path: of the file; its folder is made where it does not exist.
    content: of the file.

  Raises:
    UserError: the disk refuses (full, no permission, a file in the way); what
      was at `path` is then as it was, and no part of the new file is left.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
  with told('write', path):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
      with open(temporary, 'xb') as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
      os.replace(temporary, path)
    finally:
      temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
      os.fsync(folder)
    finally:
      os.close(folder)


def move(path: str | os.PathLike, target: str | os.PathLike) -> bool:
  """Moves a file or a folder, unless another process was first.

  Args:
    path: where it is.
    target: where it will be; its folder is made where it does not exist.

  Returns:
    Whether it was there to be moved.

  Raises:
    UserError: the disk refuses, as where `target` is a folder with content.
  """
  path, target = pathlib.Path(path), pathlib.Path(target)
  with told('move', path):
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
      os.replace(path, target)
      return True
  return False


def remove(path: str | os.PathLike) -> None:
  """Removes a file, if it is there.

  Raises:
    UserError: the disk refuses.
  """
  path = pathlib.Path(path)
  with told('remove', path):
    path.unlink(missing_ok=True)


def intact(path: pathlib.Path, read: Callable[[pathlib.Path], Any]) -> Any:
  """`read(path)`, or None where no file is; a broken file is set aside.

  What the disk says has an errno and is no reason to distrust the file; what
  pyarrow, json and checkpoints say of the content has none.

  Args:
    path: of the file.
    read: of the path; of a broken file it raises an error without an errno.

  Raises:
    UserError: the disk refuses.
  """
  try:
    return read(path)
  except FileNotFoundError:
    return None
  except _BROKEN as error:
    if isinstance(error, OSError) and error.errno:
      raise base.UserError(f'cannot read {path}: {error.strerror}') from error
    reason = str(error).partition('\n')[0]
  aside = path.with_name(f'.{path.name}.corrupt')
  with told('set aside', path), contextlib.suppress(FileNotFoundError):
    os.replace(path, aside)  # Unless another process was first.
  warnings.warn(
    f'{path} is broken ({reason}): it is set aside as {aside.name}, and what '
    'it held is missing',
    stacklevel=2,
  )
  return None


@contextlib.contextmanager
def told(verb: str, path: pathlib.Path) -> Generator[None, None, None]:
  """Turns what the system says into one sentence."""
  try:
    yield
  except OSError as error:
    raise base.UserError(
      f'cannot {verb} {path}: {error.strerror or error}'
    ) from error
