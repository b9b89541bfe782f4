"""A collection: one page of several experiments, whose claims may fail."""

import json
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from initlab import claims, launch, panels, stats
from initlab.experiment import (
  MARKS,
  OPTIONAL,
  Chapter,
  Claim,
  Collection,
  Outcome,
  PerNetwork,
  config,
)
from initlab.launch import machine
from initlab.report import tables
from initlab.report.plots import style
from tests.helpers import few, tiny

_TINY = ('--dataset=xor', '--examples=4', '--widths=6x2')


def _claim(name, holds):
  def check(outcomes):
    cost = stats.mean(claims.one(outcomes, init='glorot').measured['mean_loss'])
    return claims.finding(holds == (cost.value > 0), f'{cost}')

  return Claim(name, f'<{name}>', 'a lecture', check)


def _tables(run):
  title = f'Of {", ".join(run)}'
  index = tables.Column('', 'chapter', list(run))
  counts = [str(len(outcomes[0].seeds)) for outcomes in run.values()]
  return [tables.Table(title, index, [tables.Column('', 'seeds', counts)])]


def _untested(outcomes):
  return claims.one(outcomes, init='zeros')


PROGRAM = Collection(
  name='pair',
  program=('-m', 'experiments.pair'),
  doc='Two chapters.\n\nOf one experiment.',
  chapters=(
    Chapter(
      few.EXPERIMENT,
      'The first',
      _TINY,
      full=('--widths=7x2',),
      panels=(
        'activation_std_depth',
        panels.Seeds('mean_loss', 'Of its own', 'mean_loss'),
      ),
      claims=(_claim('true', True), _claim('false', False)),
    ),
    Chapter(
      few.EXPERIMENT,
      'The second',
      (*_TINY, '--seeds=0:2'),
      panels=('saturated_depth',),
      claims=(Claim('open', 'unknown', 'nobody', _untested),),
    ),
    Chapter(few.EXPERIMENT, 'Without data', ('--dataset=mnist',)),
  ),
  full='at full size',
  tables=_tables,
)


@pytest.fixture(autouse=True)
def without_png(monkeypatch):
  monkeypatch.setattr(style, 'png', lambda figure: b'')


def _run(tmp_path, *argv, program=PROGRAM):
  places = [f'--out={tmp_path / "out"}', f'--data_dir={tmp_path}']
  places += [f'--compile_cache={tmp_path.parent / "compiled"}']
  with pytest.raises(SystemExit) as exit_:
    launch.collect(program, ['pair', *places, *argv])
  return exit_.value.code


def _page(tmp_path, start='pair'):
  """The only page of a collection."""
  (page,) = (tmp_path / 'out' / 'reports').glob(f'{start}*.html')
  return page


def test_a_selection_has_a_page_of_its_own(tmp_path, capsys):
  small, seeds = tiny.EXPERIMENT, ('--seeds=0:2',)
  chapters = [Chapter(small, title, seeds) for title in ('First', 'Second')]
  program = PROGRAM._replace(chapters=tuple(chapters))
  reports, before = tmp_path / 'out' / 'reports', set()
  for flag in ('', '--only=first', '--only=second', '--root_seed=1'):
    assert _run(tmp_path, *filter(None, [flag]), program=program) == 0
    (page,) = set(reports.glob('*.html')) - before
    before.add(page)
    text, printed = page.read_text(), capsys.readouterr().out
    assert ('Not the whole collection' in text) == bool(flag)
    assert ('\nselection ' in printed) == bool(flag) and flag in printed
    assert (page.name == 'pair.html') == (not flag)
    assert not flag or f'<code>{flag}</code>.' in text
    assert ('Second</h2>' in text) == (flag != '--only=first')


def test_the_page_has_claims_pictures_and_what_is_missing(tmp_path, capsys):
  assert _run(tmp_path, '--seeds=0:3') == 0
  told = capsys.readouterr()
  assert '1 pass, 1 fail, 1 not tested' in told.out
  assert '<false>' in told.out and '<true>' not in told.out
  assert 'not run: mnist needs t10k-images-idx3-ubyte' in told.out
  assert '3/3 Without data' in told.err
  page = _page(tmp_path).read_text()
  assert page.count('<svg') == 3
  assert '&lt;true&gt;' in page
  assert 'Not run: ' in page
  for chapter, claim in ((0, 'true'), (0, 'false'), (1, 'open')):
    place = f'chapter{chapter}-claim-{claim}'
    assert page.count(f'<li id="{place}">') == 1
    assert page.count(f'<a href="#{place}">') == 2
  assert 'Of The first, The second' in page
  assert 'no setting with init zeros in this run' in page
  (link,) = set(_links(page, 'The first'))
  assert (tmp_path / 'out' / 'reports' / link).is_file()
  rows = sorted((tmp_path / 'out' / 'variance').iterdir())
  assert _run(tmp_path, '--seeds=0:3', '--verbose') == 0
  assert sorted((tmp_path / 'out' / 'variance').iterdir()) == rows
  told = capsys.readouterr()
  assert 'Of The first, The second' in told.out and '<true>' in told.out


class _Result(NamedTuple):
  mean_loss: PerNetwork
  error: Annotated[PerNetwork, OPTIONAL]


def test_a_measure_that_no_setting_has_is_left_out(tmp_path):
  """As in the chapter's own report."""
  shown = (
    panels.Seeds(field, field, field) for field in ('mean_loss', 'error')
  )
  chapter = tiny.EXPERIMENT._replace(
    result=_Result,
    run=lambda config, key, data: _Result(
      *jax.random.normal(key, (2,))
    )._replace(error=jnp.nan),
    predict=lambda config, data: {},
    panels=tuple(shown),
    compared=('mean_loss', 'error'),
  )
  one = PROGRAM._replace(chapters=(Chapter(chapter, 'One'),))
  assert _run(tmp_path, '--seeds=0:3', program=one) == 0
  page = _page(tmp_path).read_text()
  assert page.count('<figure>') == 1 and 'mean_loss, one row' in page


def _links(page, title):
  chapter = page.partition(f'">{title}</h2>')[2].partition('</h2>')[0]
  links = [part.partition('"')[0] for part in chapter.split('<a href="')[1:]]
  return [link for link in links if not link.startswith('#')]


@pytest.mark.slow
def test_one_chapter_at_its_full_size(tmp_path, capsys):
  assert _run(tmp_path, '--only=first', '--full', '--seeds=0:2') == 0
  assert '1 pass, 1 fail\n' in capsys.readouterr().out
  page = _page(tmp_path, 'pair-full-only-first-seeds-0-2-').read_text()
  assert '--widths=7x2' in page
  assert '--widths=6x2' not in page


@pytest.mark.parametrize(
  ('flag', 'told'),
  [
    ('--only=third', "no chapter has 'third'. The first; The second"),
    ('--seeds=1:1', 'no seed in this range'),
    ('--sedes=1', 'sedes'),
    ('first', "'first' is not a flag"),
    ('--only=without', 'fetch_data mnist'),
  ],
)
def test_one_line_says_what_is_wrong(flag, told, tmp_path, capsys):
  assert _run(tmp_path, flag) == 1
  captured = capsys.readouterr()
  assert told in captured.err
  assert captured.err.count('error:') == 1
  assert not (tmp_path / 'out' / 'reports').exists()


def test_help_lists_chapters_and_flags(tmp_path, capsys):
  assert _run(tmp_path, '--help') == 0
  told = capsys.readouterr().out
  assert 'The second (python -m experiments.variance)' in told
  for flag in ('--only', '--full', '--seeds', '--dry_run'):
    assert f'  {flag}\n' in told


def test_a_plan_runs_nothing(tmp_path, capsys):
  assert _run(tmp_path, '--dry_run', '--only=first') == 0
  assert '32 seeds are missing' in capsys.readouterr().out
  assert not (tmp_path / 'out').exists()


def test_devices_are_configured_before_a_setting_is_checked(
  tmp_path, capsys, monkeypatch
):
  """A check may use a device, and then their number stays as it is."""
  order = []

  @config
  class Checked(tiny.Config):
    def check(self):
      order.append('checked')

  configured = lambda *args: order.append('configured')
  monkeypatch.setattr(machine, 'configure', configured)
  checked = tiny.EXPERIMENT._replace(config=Checked)
  program = PROGRAM._replace(chapters=(Chapter(checked, 'The only'),))
  assert _run(tmp_path, '--dry_run', program=program) == 0
  assert 'seeds are missing' in capsys.readouterr().out
  assert order[0] == 'configured' and 'checked' in order


def test_a_plan_says_what_cannot_be_run(tmp_path, capsys):
  assert _run(tmp_path, '--dry_run', '--only=first,without') == 0
  told = capsys.readouterr().out
  assert '32 seeds are missing' in told
  assert 'Without data\nnot run: mnist needs' in told
  assert _run(tmp_path, '--dry_run', '--json', '--only=first,without') == 0
  first, without = json.loads(capsys.readouterr().out)['chapters']
  assert first['not_run'] is None and first['settings']
  assert 'mnist' in without['not_run']
  assert _run(tmp_path, '--dry_run', '--only=without') == 1


def test_a_claim_names_what_a_run_lacks():
  claim = Claim('open', 'unknown', 'nobody', _untested)
  config = few.EXPERIMENT.config(init='glorot')
  other = Outcome(config, 'glorot', np.arange(1), {}, {})
  (found,) = claims.findings([claim], [other])
  assert found == (None, 'no setting with init zeros in this run')
  assert claims.mark(found, MARKS) == 'not tested'
  (found,) = claims.findings([claim], [])
  assert found == (None, 'no setting in this run')
