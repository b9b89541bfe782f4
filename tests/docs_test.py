"""The site does not lie: its code runs, and no page is orphaned."""

import pathlib
import re

import jax
import pytest

_DOCS = pathlib.Path(__file__).parents[1] / 'docs'
_CELL = re.compile(r'^```\{code-cell\} python\n(.*?)^```$', re.M | re.S)
_OPTIONS = re.compile(r'\A(?::\w+:.*\n)+')
_NOTEBOOKS = [
  page
  for page in sorted(_DOCS.glob('*.md'))
  if '{code-cell}' in page.read_text()
]


def cells(text):
  """The code of a notebook's cells, each after as many lines as before it.

  So the lines of a traceback are those of the page.
  """
  found = []
  for cell in _CELL.finditer(text):
    code = _OPTIONS.sub(lambda options: '\n' * options[0].count('\n'), cell[1])
    found.append('\n' * text.count('\n', 0, cell.start(1)) + code)
  return found


@pytest.fixture
def defaults_of_jax():
  """What a reader has, where the suite is strict."""
  with (
    jax.numpy_dtype_promotion('standard'),
    jax.numpy_rank_promotion('allow'),
    jax.debug_key_reuse(False),
  ):
    yield


@pytest.mark.slow
@pytest.mark.usefixtures('defaults_of_jax')
@pytest.mark.parametrize('page', _NOTEBOOKS, ids=lambda page: page.name)
def test_cells_run(page):
  names = {'__name__': page.stem}
  for code in cells(page.read_text()):
    exec(compile(code, str(page), 'exec'), names)


def test_every_cell_is_found():
  """A cell of another spelling would be shown, and run by no test."""
  for page in _NOTEBOOKS:
    text = page.read_text()
    assert len(cells(text)) == text.count('{code-cell}'), page.name
  assert len(_NOTEBOOKS) >= 9


def test_cells_keep_their_lines():
  text = 'Prose.\n\n```{code-cell} python\n:tags: [hide-input]\n1 / 0\n```\n'
  (code,) = cells(text)
  with pytest.raises(ZeroDivisionError) as failure:
    exec(compile(code, 'page', 'exec'), {})
  assert failure.traceback[-1].lineno + 1 == 5


def test_every_page_is_in_a_table_of_contents():
  listed = set()
  for page in [_DOCS / 'index.md', _DOCS / 'api.md']:
    for tree in re.findall(r'```\{toctree\}\n(.*?)```', page.read_text(), re.S):
      listed |= {line for line in tree.split() if not line.startswith(':')}
  pages = {
    str(page.relative_to(_DOCS).with_suffix('')) for page in _DOCS.rglob('*.md')
  }
  assert pages - {'index'} <= listed


def test_no_page_names_a_machine():
  """No path of a machine and no host but those of papers and repositories."""
  for page in _DOCS.rglob('*.md'):
    text = page.read_text()
    assert not re.search(r'(?<![\w.])/(home|work|tmp|root|Users)/', text), page
    hosts = set(re.findall(r'https?://([\w.]+)', text))
    assert hosts <= {'arxiv.org', 'github.com', 'pypi.org'}, page
