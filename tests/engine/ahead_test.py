"""What later items need is done in threads, and each item waits for its own."""

import contextlib
import threading

import jax
import numpy as np
import pytest

from initlab.engine import ahead, study
from tests.helpers import sorting


def test_later_calls_begin_while_an_earlier_item_is_used():
  begun = threading.Event()
  turns = ahead.in_turn([('a', []), ('b', [begun.set])], 1)
  assert next(turns) == 'a'
  assert begun.wait(10)
  assert list(turns) == ['b']


def test_an_item_waits_for_all_of_its_calls():
  done = []
  go = threading.Event()
  calls = [lambda: done.append(go.wait(10)), lambda: done.append(True)]
  threading.Timer(0.1, go.set).start()
  assert next(ahead.in_turn([('a', calls)], 2)) == 'a'
  assert done == [True, True]


def test_an_error_is_raised_in_the_turn_of_its_item():
  turns = ahead.in_turn([('a', []), ('b', [lambda: 1 // 0]), ('c', [])], 1)
  assert next(turns) == 'a'
  with pytest.raises(ZeroDivisionError):
    next(turns)


def test_a_loop_that_ends_early_starts_no_more_calls():
  called = []
  entered, go = threading.Event(), threading.Event()

  def hold():
    entered.set()
    go.wait(10)

  turns = ahead.in_turn([('a', []), ('b', [hold, lambda: called.append(1)])], 1)
  next(turns)
  assert entered.wait(10)
  turns.close()
  go.set()
  for thread in threading.enumerate():
    if thread.name.startswith('ahead'):
      thread.join()
  assert not called


def _run(config, key, data):
  """A product, whose precision is a setting of the run."""
  del data
  drawn = config.draw(key)
  return sorting.Result(drawn @ drawn)


def _study(tmp_path, sizes, dtype):
  experiment = sorting.SORTING._replace(run=_run, dtype=dtype)
  options = study.Options(
    seeds=np.arange(3, dtype=np.uint32),
    root_seed=0,
    lanes=1,
    devices=0,
    matmul_precision='high',
    out=tmp_path,
    data_dir='',
    command='',
  )
  bar = lambda total: contextlib.nullcontext(lambda label, count: None)
  with jax.default_matmul_precision('high'):
    return study.run(
      experiment, list(map(sorting.Config, sizes)), options, bar
    )[0]


@pytest.mark.parametrize('dtype', ['float32', 'float64'])
def test_programs_compile_once_in_threads_with_the_settings_of_the_run(
  tmp_path, dtype
):
  _study(tmp_path, [10], dtype)  # what every run compiles
  places = []

  def listen(event, *args, **kwargs):
    if 'backend_compile' in event:
      places.append(threading.current_thread())

  jax.monitoring.register_event_duration_secs_listener(listen)
  try:
    _study(tmp_path, [11, 12], dtype)
  finally:
    jax.monitoring.clear_event_listeners()
  assert len(places) == 2
  assert threading.main_thread() not in places
