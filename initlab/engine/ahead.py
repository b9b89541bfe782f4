"""Calls in threads ahead of the loop that needs what they prepare."""

from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from typing import Any, TypeVar

_T = TypeVar('_T')


def in_turn(
  items: Sequence[tuple[_T, Sequence[Callable[[], Any]]]], threads: int
) -> Iterator[_T]:
  """Yields items in their order, each once its calls have returned.

  Meanwhile the calls of later items go on, in the same order.

  Args:
    items: each with the calls that it needs.
    threads: calls at a time, at least one.

  Yields:
    Each item. What a call raises is raised in the turn of its item. If the loop
    ends early, no more calls begin.

  Examples:
    >>> list(in_turn([('a', [int, float]), ('b', [])], 2))
    ['a', 'b']
  """
  pool = futures.ThreadPoolExecutor(threads, thread_name_prefix='ahead')
  try:
    begun = [(item, [pool.submit(x) for x in calls]) for item, calls in items]
    for item, calls in begun:
      for call in calls:
        call.result()
      yield item
  finally:
    pool.shutdown(wait=False, cancel_futures=True)
