"""The program `audit`: its files, its exit statuses, its errors."""

import json

import pandas as pd
import pytest

from initlab.launch import audits

_MODULE = """
import jax
import jax.numpy as jnp

from initlab import keys


def _made(gain):
  def init(key):
    w = [jax.random.normal(keys.at(key, i), (12, 12)) for i in range(3)]
    return [w[0] / 12**0.5, gain * w[1] / 12**0.5, w[2] / 12**0.5]

  def model(params, x):
    return jnp.tanh(jnp.tanh(x @ params[0]) @ params[1]) @ params[2]

  return init, model, (jnp.linspace(-1, 1, 48).reshape(4, 12),)


def healthy():
  return _made(1.0)


def broken():
  return _made(5.0)


def nothing():
  return None
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
  (tmp_path / 'audited.py').write_text(_MODULE)
  monkeypatch.syspath_prepend(str(tmp_path))

  def run(*flags):
    """Exit status, output and errors."""
    places = f'--out={tmp_path / "results"}', '--compile_cache=none'
    argv = ['audit', '--seeds=0:5', *places, *flags]
    with pytest.raises(SystemExit) as exit_:
      audits.audit('Audits.', ('-m', 'experiments.audit'), argv)
    return exit_.value.code, *capsys.readouterr()

  return run


def test_a_healthy_model_and_a_broken_one(run, tmp_path):
  status, out, _ = run('--model=audited:healthy,audited.broken')
  assert status == 3
  assert 'nothing is wrong at 3 sites' in out and 'too large' in out
  places = sorted((tmp_path / 'results' / 'audit').iterdir())
  healthy, broken = (
    json.loads((place / 'report.json').read_text())['audits'][0]
    for place in places
  )
  assert not healthy['findings']
  assert [each['leaf'] for each in broken['findings']] == ['1']
  assert broken['findings'][0]['factor']['value'] == pytest.approx(5, rel=0.1)
  for place in places:
    assert set(pd.read_parquet(place / 'rows.parquet').seed) == set(range(5))
    assert '<svg' in (place / 'report.html').read_text()
  status, again, _ = run(f'--flagfile={places[1] / "flags.txt"}')
  assert status == 3
  assert (
    again.partition('command')[0]
    == out[out.index('audit: audited.b') :].partition('command')[0]
  )


@pytest.mark.slow
def test_what_counts_and_what_is_declared_decide_the_status(
  run, tmp_path, monkeypatch
):
  monkeypatch.setattr(audits.reports, 'write', lambda *args: None)
  assert run('--model=audited:broken', '--fail_on=none')[0] == 0
  assert run('--model=audited:broken', '--fail_on=dead,branch')[0] == 0
  assert run('--model=audited:broken', '--fail_on=dead, outlier')[0] == 3
  laws = tmp_path / 'laws.toml'
  laws.write_text("'1' = 'normal(5 / sqrt(n_in))'\n")
  assert run('--model=audited:broken', f'--expect={laws}')[0] == 0


@pytest.mark.parametrize(
  ('flags', 'message'),
  [
    ('--model=transfomer', "did you mean 'transformer'"),
    ('--model=audited:absent', "has no 'absent'"),
    ('--model=nowhere:make', 'there is no module'),
    ('--model=audited:nothing', 'must return (init, model, batch)'),
    ('--fail_on=outliers', "did you mean 'outlier'"),
    ('--expect=nowhere.toml', 'nowhere.toml'),
    ('--seeds=3:3', 'no seed in this range'),
  ],
)
def test_bad_input_is_one_line(run, tmp_path, flags, message):
  model = () if 'model' in flags else ('--model=audited:healthy',)
  status, out, errors = run(*model, flags)
  assert status == 1 and not out
  assert message in errors and errors.count('\n') == 1
  assert not (tmp_path / 'results').exists()


def test_help_says_what_a_model_is(run):
  status, out, _ = run('--help')
  assert status == 0
  assert '(init, model, batch)' in out and '--fail_on' in out


def test_too_few_seeds_to_judge_by_are_an_error(run, tmp_path):
  status, out, errors = run('--model=audited:healthy', '--seeds=3')
  assert status == 1
  assert 'nothing is wrong' not in out and 'not judged: repeated, dead' in out
  assert 'takes 5 seeds, not 1' in errors and errors.count('\n') == 1
  (page,) = tmp_path.glob('results/audit/*/report.html')
  html = page.read_text()
  assert 'is wrong' not in html and 'mark open">not judged' in html
  status, _, errors = run(
    '--model=audited:healthy', '--seeds=3', '--fail_on=outlier, starved'
  )
  assert status == 0 and not errors


def test_seeds_are_a_set_as_of_every_program(run, tmp_path, monkeypatch):
  monkeypatch.setattr(audits.reports, 'write', lambda *args: None)
  _, out, _ = run('--model=audited:healthy', '--seeds=7,3:6', '--json')
  assert json.loads(out)['audits'][0]['seeds'] == [3, 4, 5, 7]
  (flags,) = tmp_path.glob('results/audit/*/flags.txt')
  assert '--seeds=3:6,7\n' in flags.read_text()
