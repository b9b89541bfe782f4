"""A page is drawn again when what draws it has changed."""

import contextlib

import numpy as np
import pytest

from initlab.engine import program, study
from initlab.report import publish
from tests.helpers import tiny


def _options(out, **knobs):
  return study.Options(
    seeds=np.arange(2),
    root_seed=0,
    lanes=1,
    devices=1,
    matmul_precision='highest',
    out=out,
    data_dir='',
    command='',
    **knobs,
  )


@contextlib.contextmanager
def _quiet(total):
  del total
  yield lambda label, count: None


@pytest.fixture(scope='module')
def ran(tmp_path_factory):
  """A study without pictures: experiment, outcomes, tasks, folder."""
  out = tmp_path_factory.mktemp('results')
  experiment = tiny.EXPERIMENT
  found = study.run(experiment, [experiment.smoke], _options(out), _quiet)
  return experiment, *found, out


def _page(ran, **knobs):
  experiment, outcomes, tasks, out = ran
  options = _options(out, **knobs)
  return publish.publish(experiment, outcomes, tasks, options)['page']


@pytest.mark.slow
def test_an_edited_source_draws_another_page(ran, tmp_path, monkeypatch):
  first = _page(ran)
  assert _page(ran) == first
  plot = tmp_path / 'plot.py'
  files = program.package_files()
  assert {'depth.py', 'report.html', 'page.css'} <= {p.name for p in files}
  monkeypatch.setattr(program, 'package_files', lambda: files | {plot})
  pages = []
  for text in ('draw()', 'draw(1)', 'draw()'):
    plot.write_text(text)
    pages.append(_page(ran))
  assert pages[0] == pages[2] != pages[1]
  assert first not in pages


@pytest.mark.parametrize('from_files', [True, False])
def test_a_page_of_unchanged_files_is_drawn_once(ran, monkeypatch, from_files):
  _page(ran)
  drawn = []
  write = publish.write
  monkeypatch.setattr(
    publish, 'write', lambda *args: (drawn.append(1), write(*args))
  )
  _page(ran, from_files=from_files)
  assert bool(drawn) != from_files
