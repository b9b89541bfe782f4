"""The page, the text and the table of one run: complete, readable, sealed."""

import csv as csv_format
from html import parser
import io
import json
import pathlib
import re
import shutil
import subprocess

import numpy as np
import pytest

from initlab import stats
from initlab.engine import sweep
from initlab.experiment import Experiment, Outcome
from initlab.report import (
  page as report_page,
  screen,
  summary,
  sweeps,
  text as report_text,
)
from initlab.report.plots import figure as figures, style
from tests.helpers import made_up

_LABELS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN'
DOC = """What an initialization does to the signal.

Question:
  Is variance preserved, and is 1 < 2 & "so on"?
Run:
  python -m experiments.fake
"""
FACTS = {
  'command': 'python -m experiments.fake --init=standard,glorot,he',
  'root seed': '0',
  'lanes': '1',
}


def experiment() -> Experiment:
  return Experiment(
    name='fake',
    program=('-m', 'experiments.fake'),
    doc=DOC,
    config=made_up.Config,
    smoke=made_up.Config(),
    result=tuple,
    load=lambda config, data_dir: None,
    run=lambda config, key, data: None,
    panels=made_up.PANELS,
    verdict=lambda outcome: [f'upward: {outcome.label} <does> what it does'],
  )


def page_of(outcomes: list[Outcome]) -> str:
  vectors = [
    style.svg(figures.figure(panel, outcomes)) for panel in made_up.PANELS
  ]
  return report_page.page(experiment(), outcomes, FACTS, vectors)


@pytest.fixture(scope='module')
def outcomes() -> list[Outcome]:
  three = made_up.study('standard', 'glorot', 'he')
  three[2].measured['gradient_std'][3:5, :2] = np.inf
  three[2] = three[2]._replace(label='he, <tanh> & "co"')
  return three


@pytest.fixture(scope='module')
def page(outcomes) -> str:
  return page_of(outcomes)


@pytest.fixture(scope='module')
def text(outcomes) -> str:
  return report_text.text(experiment(), outcomes, FACTS)


class Reader(parser.HTMLParser):
  """Collects what a page holds; fails on tags that do not nest."""

  VOID = ('meta', 'link', 'br', 'img', 'hr')

  def __init__(self, page: str):
    super().__init__()
    self.open: list[str] = []
    self.tags: list[tuple[str, dict[str, str | None]]] = []
    self.said: list[str] = []
    self.feed(page)
    self.close()
    assert not self.open, f'never closed: {self.open}'

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_startendtag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))

  def handle_endtag(self, tag):
    assert self.open and self.open[-1] == tag, f'</{tag}> closes {self.open}'
    self.open.pop()

  def handle_data(self, data):
    if 'style' not in self.open:
      self.said.append(data)

  def of(self, tag: str) -> list[dict[str, str | None]]:
    return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize('number, folded', [(16, False), (17, True)])
def test_cards_of_many_settings_are_folded(outcomes, number, folded):
  shown = experiment()._replace(panels=())
  many = [outcomes[1]._replace(label=label) for label in _LABELS[:number]]
  page = report_page.page(shown, many, FACTS, [])
  assert (f'<summary>{number} settings, one by one' in page) == folded
  assert page.count('class="card"') == number
  Reader(page)


def test_the_page_nests_and_says_everything(page, outcomes):
  reader = Reader(page)
  said = ' '.join(' '.join(reader.said).split())
  for outcome in outcomes:
    assert f'upward: {outcome.label} <does> what it does' in said
    assert f'{outcome.label}, layer by layer (32 seeds, 0 to 31)' in said
  assert 'Is variance preserved, and is 1 < 2 & "so on"?' in said
  for name, fact in FACTS.items():
    assert name in said and fact in said
  for knob in ('init', 'widths', 'bias', '1000x5'):
    assert knob in said
  assert said.count('mean of 32 seeds, 95% interval') >= 4


def test_every_panel_is_a_labelled_picture(page):
  reader = Reader(page)
  pictures = [each for each in reader.of('div') if each.get('role') == 'img']
  assert len(pictures) == len(reader.of('svg')) == len(made_up.PANELS)
  for picture, panel in zip(pictures, made_up.PANELS, strict=True):
    assert picture['aria-label'] == f'{panel.title}: {panel.label}'
  assert len(reader.of('figcaption')) == len(made_up.PANELS)


def test_the_page_can_be_read_by_all(page):
  reader = Reader(page)
  assert reader.of('html')[0]['lang'] == 'en'
  assert reader.of('title') and len(reader.of('h1')) == 1
  assert len(reader.of('caption')) == len(reader.of('table'))
  assert all(each.get('scope') for each in reader.of('th'))
  assert 'prefers-color-scheme: dark' in page


def test_no_id_is_used_twice_and_every_reference_is_kept(page):
  ids = re.findall(r'\bid="([^"]*)"', page)
  assert len(ids) == len(set(ids))
  references = re.findall(r'(?:href="#|url\(#)([^")]*)', page)
  assert references and set(references) <= set(ids)


def test_the_page_refers_to_nothing_outside(page):
  assert not re.search(r'\bsrc\s*=|@import|<link|<script\s|<iframe', page)
  assert not re.search(r'fetch\(|XMLHttpRequest|import\(', page)
  assert not re.search(r'url\((?!#)|href="(?!#)', page)
  without_names = re.sub(r'\bxmlns(:\w+)?="[^"]*"', '', page)
  assert not re.search(r'https?:|["\'(]//', without_names)


def test_the_page_is_the_same_twice(page, outcomes):
  assert page == page_of(outcomes)


def test_a_long_page_has_its_sections_beside_it(page):
  contents = re.search(r'<nav.*?</nav>', page, re.DOTALL)[0]
  sections = re.findall(r'<h2 id="([^"]*)">([^<]*)</h2>', page)
  assert len(sections) == 5
  assert re.findall(r'href="#([^"]*)">([^<]*)<', contents) == sections


def test_a_card_leads_with_a_number(outcomes):
  """That of `answer`, else of what is compared."""
  three = stats.Estimate(*map(np.array, (3.0, 2.5, 3.5, 8)), 8)
  told = experiment()._replace(
    answer=lambda outcome: {('the width', 'measured'): three},
  )
  compared = experiment()._replace(compared=('loss',))
  loss = stats.mean(outcomes[0].measured['loss'])
  for each, lead in (
    (told, ('3.0', '[2.5, 3.5]', 'the width')),
    (compared, (*str(loss).split(' ', 1), 'mean loss')),
  ):
    first = report_page.settings(each, outcomes)[0]
    assert first['leads'] == [lead]


def test_a_missing_figure_is_refused(outcomes):
  with pytest.raises(ValueError):
    report_page.page(experiment(), outcomes, FACTS, ['<svg></svg>'])


def test_what_has_no_room_is_counted():
  verdicts = [[['glorot']], [['he']], [['zeros']]]
  told = [screen._fitting(verdicts, room).splitlines()[-1] for room in (2, 3)]
  assert told == ['... and 2 more settings', '... and 1 more setting']


def test_a_report_is_one_screen_whatever_the_sweep():
  """The heading, as much of the verdicts as fits, one table, the places."""
  wordy = experiment()._replace(
    verdict=lambda outcome: [f'{n}: {"word " * 30}' for n in range(4)],
    compared=('loss',),
  )
  places = {'page': 'a.html', 'rows': 'rows', 'replay': 'python', 'lanes': '1'}
  for count, sentences in ((1, 4), (4, 2), (9, 1), (40, 1)):
    one = made_up.outcome('glorot')
    some = [one._replace(label=label) for label in _LABELS[:count]]
    text = screen.text(wordy, some, places, 100)
    lines = text.splitlines()
    assert len(lines) <= 42, text
    assert sum(line.startswith(f'  {sentences - 1}:') for line in lines) > 0
    assert not any(line.startswith(f'  {sentences}:') for line in lines)
    # The table has settings whose verdict has no room, too.
    rows = sum(bool(re.match(r'\w  +\S', line)) for line in lines)
    assert rows == min(count, 12)
    assert ('more settings' in text) == (count > 4)
    assert ('28 more rows' in text) == (count == 40)
    assert 'a.html' in text and 'lanes' not in text


def test_the_text_begins_with_the_verdict(text, outcomes):
  lines = text.splitlines()
  assert lines[0] == 'fake: What an initialization does to the signal'
  assert lines[2] == 'standard (32 seeds, 0 to 31)'
  assert lines[3] == '  upward: standard <does> what it does'
  for outcome in outcomes:
    assert f'{outcome.label}, layer by layer' in text


@pytest.mark.parametrize('width', [80, 120])
def test_the_text_fits_the_terminal(outcomes, width):
  text = report_text.text(experiment(), outcomes, FACTS, width)
  assert max(map(len, text.splitlines())) <= width
  assert not any(line.endswith(' ') for line in text.splitlines())


def test_every_number_in_the_text_has_its_interval(text, outcomes):
  estimate = stats.mean(outcomes[0].measured['activation_std'])
  cell = str(estimate.at(0))
  assert re.fullmatch(r'0\.\d+ \[0\.\d+, 0\.\d+\]', cell) and cell in text
  assert re.search(
    r'activation std, layer 1 +\d\.\d+ \[\d\.\d+, \d\.\d+\]', text
  )


def test_the_comparison_is_paired_by_seed():
  """A factor of exactly 2 seed by seed, though seeds differ by far more."""
  first = made_up.outcome('glorot')
  noise = np.exp(np.random.default_rng(0).standard_normal((32, 1)))
  first.measured['activation_std'] *= noise
  doubled = {**first.measured}
  doubled['activation_std'] = 2 * first.measured['activation_std'][::-1]
  second = first._replace(
    label='twice', measured=doubled, seeds=first.seeds[::-1]
  )
  text = report_text.text(experiment(), [first, second], {})
  assert re.search(r'activation std, layer 6 +2\.000 \[2\.000, 2\.000\]', text)


def test_lost_seeds_and_distance_from_theory_are_told(text):
  assert 'gradient std: not finite for 2 of 32 seeds, layers 1 to 2' in text
  assert len(re.findall(r'farthest from theory: [+-]\d+\.\d%', text)) == 3


def test_tables_name_the_mean_that_they_are_of():
  first = made_up.outcome('glorot', seeds=6)
  noise = 10.0 ** np.arange(-3, 3)[:, None]
  first.measured['gradient_std'] = noise * first.measured['gradient_std']
  first.measured['gradient_std'][0, :2] = 0
  marked = first._replace(geometric=frozenset({'gradient_std'}))
  table = summary._layers(marked)
  heads = {each.group: each.head for each in table.columns[::-1]}
  assert heads['gradient std'] == 'geometric mean'
  assert heads['activation std'] == 'mean'
  (cells,) = [
    each.cells for each in table.columns if each.head == 'geometric mean'
  ]
  estimate = stats.geometric_mean(first.measured['gradient_std'])
  assert cells == [str(estimate.at(row)) for row in range(6)]
  assert (
    'gradient std: zero for 1 of 6 seeds, layers 1 to 2; the geometric mean '
    'leaves them out'
  ) in summary.remarks(marked)
  rows = list(csv_format.DictReader(io.StringIO(summary.csv([marked]))))
  means = {row['measure']: row['mean'] for row in rows}
  assert means['gradient_std'] == 'geometric'
  assert means['activation_std'] == 'arithmetic'
  seeds = {row['seeds'] for row in rows if row['measure'] == 'gradient_std'}
  assert seeds == {'5', '6'}


def test_yes_or_no_is_a_share_and_has_no_ratio():
  both = [
    each._replace(
      measured={'solved': np.ones(8)},
      predicted={},
      shares=frozenset({'solved'}),
    )
    for each in made_up.study('glorot', 'he', seeds=8)
  ]
  (table,) = summary.contents(experiment(), both)
  (column,) = table.columns
  assert (column.group, column.head) == ('solved', 'share')
  assert column.cells == [str(stats.share(8, 8))] * 2
  (row, _) = csv_format.DictReader(io.StringIO(summary.csv(both)))
  assert row['mean'] == 'share'
  assert float(row['low']) == pytest.approx(0.025 ** (1 / 8))


def test_how_far_theory_is_is_measured_from_the_mean_that_is_printed():
  """Half of the seeds at twice theory, half at half of it."""
  outcome = made_up.outcome('glorot', seeds=100, layers=2)
  up = outcome.predicted['activation_std']
  around = np.tile([[0.5], [2.0]], (50, 1))
  outcome = outcome._replace(
    measured={'activation_std': around * up},
    predicted={'activation_std': up},
  )
  assert 'farthest from theory: +25.0%' in summary.remarks(outcome)[0]
  marked = outcome._replace(geometric=frozenset({'activation_std'}))
  assert re.match(
    r'farthest from theory: [+-]0\.0%', summary.remarks(marked)[0]
  )


def test_too_few_seeds_are_said_to_need_more():
  text = report_text.text(experiment(), made_up.study('he', seeds=4), {})
  assert 'he (4 seeds, 0 to 3; intervals need 5)' in text


def test_seeds_that_are_missing_are_not_said_to_be_there():
  told = summary.seeds_in_words
  assert told(np.array([0, 5, 7, 8, 200])) == '5 seeds, 0, 5, 7 to 8, 200'
  odd = '1, 3, 5, 7, 9, 11, 13, 15 ...'
  assert told(np.arange(1, 99, 2)) == f'49 seeds, {odd}'


def test_deep_networks_show_a_selection_of_layers():
  outcomes = made_up.study('he', seeds=3, layers=1000)
  text = report_text.text(experiment(), outcomes, {})
  assert '10 of 1000 layers, the CSV file has all' in text
  assert re.search(r'^1000 out ', text, re.M)
  assert len(text.splitlines()) < 60


@pytest.mark.parametrize(
  'name', [n for n in made_up.hard_inputs() if n != 'many settings']
)
def test_hard_input_is_told_without_a_warning(name):
  outcomes = made_up.hard_inputs()[name]
  text = report_text.text(experiment(), outcomes, FACTS)
  assert 'nan' not in text and 'inf' not in re.sub('infin', '', text)
  assert summary.csv(outcomes).count('\n') > 1
  Reader(report_page.page(experiment(), outcomes, {}, ['<svg></svg>'] * 6))


def test_a_single_seed_has_no_interval():
  text = report_text.text(experiment(), made_up.study('he', seeds=1), {})
  assert 'he (seed 0 alone, so no interval)' in text
  assert '[' not in text.partition('How to read')[0].replace('[95%', '')


def test_the_table_is_tidy_and_complete(outcomes):
  rows = list(csv_format.DictReader(io.StringIO(summary.csv(outcomes))))
  layers, networks = 5 * 6, 1
  assert len(rows) == 3 * (layers + networks)
  row = next(
    row
    for row in rows
    if (row['setting'], row['measure'], row['layer'])
    == (outcomes[2].label, 'gradient_std', '1')
  )
  estimate = stats.mean(outcomes[2].measured['gradient_std'])
  assert row['seeds'] == '30'
  for column in ('value', 'low', 'high'):
    # Nine digits are written.
    expected = getattr(estimate, column)[0]
    np.testing.assert_allclose(float(row[column]), expected, rtol=1e-8)
  theory = outcomes[2].predicted['gradient_std'][0]
  np.testing.assert_allclose(float(row['theory']), theory, rtol=1e-8)
  assert {row['layer'] for row in rows if row['measure'] == 'loss'} == {''}


BROWSER = next(
  filter(
    None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))
  ),
  None,
)
# Each page in a frame of each width; the answers as text that --dump-dom shows.
FRAMES = """<!DOCTYPE html><body><script>
console.log('the only word in the log');
const pages = %s, widths = [390, 1280];
for (const [name, page] of Object.entries(pages)) for (const width of widths) {
  const frame = document.createElement('iframe');
  frame.style.cssText = `width: ${width}px; height: 800px; border: 0`;
  frame.srcdoc = page;
  frame.onload = () => {
    const inner = frame.contentDocument;
    const svg = inner.querySelector('svg[data-series]');
    const series = svg && JSON.parse(svg.dataset.series);
    const shown = svg && {label: series[0].label, at: series[0].points[1]};
    if (svg) {
      const place = new DOMPoint(shown.at[0], shown.at[1])
        .matrixTransform(svg.getScreenCTM());
      svg.dispatchEvent(new frame.contentWindow.PointerEvent(
        'pointermove', {clientX: place.x, clientY: place.y}));
    }
    const tip = inner.querySelector('.tip:not([hidden])');
    const button = inner.querySelector('th[data-column="1"] button');
    const orders = button && [1, 2].map(() => {
      button.click();
      const rows = button.closest('table').tBodies[0].rows;
      return [...rows].map((row) => parseFloat(row.cells[1].textContent));
    });
    const said = document.createElement('output');
    said.textContent = JSON.stringify({
      name, width: frame.contentWindow.innerWidth,
      scroll: inner.documentElement.scrollWidth,
      shown, told: tip && tip.textContent, orders,
      fetched: frame.contentWindow.performance
        .getEntriesByType('resource').length,
      pictures: [...inner.querySelectorAll('svg')].map(
        (svg) => svg.getBoundingClientRect()).map((r) => [r.width, r.height]),
    });
    document.body.append(said);
  };
  document.body.append(frame);
}
</script></body>"""


_SWEEP = sweep.Sweep(
  'a_function_of_a_long_name',
  0,
  np.arange(8),
  {
    'low': np.linspace(-1, 0, 8),
    'high': np.linspace(0, 1, 8) ** 2,
    'vector': np.linspace(0, 1, 80).reshape(8, 10),
  },
)


@pytest.mark.skipif(BROWSER is None, reason='no Chromium on this machine')
def test_a_browser_shows_the_page_without_scrolling_sideways(page, tmp_path):
  too_wide = '<p style="width: 3000px">A page that must be caught.</p>'
  sweeps.write(_SWEEP, {'seeds': '8'}, tmp_path)
  of_sweep = (tmp_path / 'report.html').read_text()
  counts = {'report': len(made_up.PANELS), 'sweep': 3}
  pages = json.dumps({'report': page, 'sweep': of_sweep, 'control': too_wide})
  file = tmp_path / 'frames.html'
  file.write_text(FRAMES % pages.replace('</', r'<\/'), 'utf-8')
  answers, log = _opened(file, tmp_path / 'profile')
  assert len(answers) == 6
  for answer in answers:
    assert answer['width'] in (390, 1280)
    if answer['name'] == 'control':
      assert answer['scroll'] > answer['width']
      continue
    assert answer['scroll'] <= answer['width'], answer
    assert answer['fetched'] == 0
    x, y = answer['shown']['at'][2:]
    assert answer['told'] == f'{answer["shown"]["label"]}: {x:g}, {y:.4g}'
    rising, falling = answer['orders']
    assert rising == sorted(rising) == falling[::-1] != falling
    assert len(answer['pictures']) == counts[answer['name']]
    assert all(
      250 < width <= answer['width'] and height > 150
      for width, height in answer['pictures']
    )
  assert log.count('CONSOLE') == log.count('the only word') == 1


def _opened(
  file: pathlib.Path, profile: pathlib.Path
) -> tuple[list[dict], str]:
  """What the frames of the file answered, and the browser's log."""
  flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--enable-logging=stderr',
    '--virtual-time-budget=5000',
    '--dump-dom',
  ]
  command = [BROWSER, *flags, f'--user-data-dir={profile}', file.as_uri()]
  # Into files: a process that it leaves behind would keep a pipe open.
  dom, log = profile.with_suffix('.dom'), profile.with_suffix('.log')
  with dom.open('wb') as out, log.open('wb') as err:
    subprocess.run(command, stdout=out, stderr=err, timeout=100, check=True)
  answers = re.findall(r'<output>({.*?})</output>', dom.read_text(), re.S)
  return [json.loads(answer) for answer in answers], log.read_text()
