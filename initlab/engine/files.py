"""Atomic writes, and reads that rename corrupt files aside."""

from collections.abc import Callable, Generator
import contextlib
import io
import os
import pathlib
from typing import Any
import uuid
import warnings

from initlab import base

# What pyarrow and json raise on corrupt content.
_BROKEN = (OSError, ValueError, LookupError, TypeError, NotImplementedError)


def write_text(path: str | os.PathLike, content: str) -> None:
  """`write_bytes` of UTF-8."""
  write_bytes(path, content.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
  """Writes a file atomically: to a temporary name, fsync, rename.

  Args:
    path: of the file; missing parent folders are created.
    content: of the file.

  Raises:
    UserError: the write failed (disk full, no permission, a file in the way).
      What was at `path` is unchanged, and no temporary file is left.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f'.{path.name}.{uuid.uuid4().hex}.tmp')
  with user_errors('write', path):
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


def write_frame(path: str | os.PathLike, frame: Any) -> None:
  """`write_bytes` of a `pandas.DataFrame` as Parquet, without its index."""
  content = io.BytesIO()
  frame.to_parquet(content, index=False)
  write_bytes(path, content.getvalue())


def move(path: str | os.PathLike, target: str | os.PathLike) -> bool:
  """Moves a file or a folder, unless another process has moved it already.

  Args:
    path: the current path.
    target: the new path; missing parent folders are created.

  Returns:
    Whether `path` existed.

  Raises:
    UserError: the move failed, e.g. because `target` is a non-empty folder.
  """
  path, target = pathlib.Path(path), pathlib.Path(target)
  with user_errors('move', path):
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
      os.replace(path, target)
      return True
  return False


def remove(path: str | os.PathLike) -> None:
  """Removes a file if it exists.

  Raises:
    UserError: the file cannot be removed.
  """
  path = pathlib.Path(path)
  with user_errors('remove', path):
    path.unlink(missing_ok=True)


def intact(path: pathlib.Path, read: Callable[[pathlib.Path], Any]) -> Any:
  """`read(path)`; None if the file is missing or corrupt.

  I/O errors (with an errno) become UserError. Decoding errors (without one)
  mean a corrupt file: it is renamed aside with a warning.

  Args:
    path: of the file.
    read: called with the path.

  Raises:
    UserError: the file cannot be read or renamed.
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
  with user_errors('set aside', path), contextlib.suppress(FileNotFoundError):
    os.replace(path, aside)  # Unless another process was first.
  warnings.warn(
    f'{path} is broken ({reason}): it is set aside as {aside.name}, and what '
    'it held is missing',
    stacklevel=2,
  )
  return None


@contextlib.contextmanager
def user_errors(verb: str, path: pathlib.Path) -> Generator[None, None, None]:
  """Re-raises OSError as UserError."""
  try:
    yield
  except OSError as error:
    raise base.UserError(
      f'cannot {verb} {path}: {error.strerror or error}'
    ) from error
