"""The site: Sphinx with MyST-NB, built by `scripts/docs`.

Docstrings of the lab are plain text whose formulas are no markup, so they are
made reStructuredText here, before napoleon reads their sections.
"""

import re

import initlab

project = 'initlab'
author = 'the initlab authors'
version = release = initlab.__version__
language = 'en'

extensions = [
  'myst_nb',
  'sphinx.ext.autodoc',
  'sphinx.ext.napoleon',
  'sphinx_copybutton',
]
exclude_patterns = ['conf.py']

html_theme = 'furo'
html_title = 'initlab'
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {'top_of_page_buttons': []}
pygments_dark_style = 'monokai'

myst_heading_anchors = 3
nb_execution_mode = 'cache'
nb_execution_raise_on_error = True
nb_execution_timeout = 600
nb_execution_show_tb = True
# Compilers and progress bars write there; an error stops the build anyway.
nb_output_stderr = 'remove'
# The second choice of a report in a notebook would be its text.
nb_mime_priority_overrides = [
  ('html', 'text/html', 0),
  ('html', 'image/svg+xml', 1),
  ('html', 'image/png', 2),
]
copybutton_prompt_text = r'>>> |\.\.\. |\$ '
copybutton_prompt_is_regexp = True

autodoc_default_options = {'members': True, 'show-inheritance': False}
autodoc_member_order = 'bysource'
autodoc_class_signature = 'mixed'
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 76
napoleon_numpy_docstring = False

_SECTION = re.compile(r'(Args|Returns|Raises|Examples|References|Yields):$')
_ENTRY = re.compile(r'(\*{0,2}[a-z]\w*(?:, \*{0,2}[a-z]\w*)*): (?=\S)')
_LITERAL = re.compile(r'(`[^`]+`)')


def as_rst(lines: list[str]) -> list[str]:
  """A docstring as reStructuredText, its Google sections left for napoleon.

  Outside of sections, paragraphs of `name: text` become lists and indented ones
  literal blocks; what is in backticks becomes a literal everywhere, and no
  other character is markup.
  """
  paragraphs = re.split(r'\n[ ]*\n', '\n'.join(lines).strip('\n'))
  made, in_section = [], False
  for paragraph in paragraphs:
    first = paragraph.partition('\n')[0]
    in_section = in_section and first.startswith(' ')
    if _SECTION.match(first):
      in_section = True
    if '>>>' in paragraph:
      made.append(paragraph)
    elif not in_section and first.startswith('    '):
      made.append('::\n\n' + paragraph)
    elif not in_section and _ENTRY.match(first):
      made.append(_listed(_escaped(paragraph)))
    else:
      made.append(_escaped(paragraph))
  return [*'\n\n'.join(made).split('\n'), '']


def _listed(paragraph: str) -> str:
  lines = paragraph.split('\n')
  return '\n'.join(
    line if line.startswith(' ') else '* ' + _ENTRY.sub(r'``\1``: ', line)
    for line in lines
  )


def _escaped(paragraph: str) -> str:
  pieces = _LITERAL.split(paragraph)
  return ''.join(
    f'`{piece}`'
    if number % 2
    else re.sub(
      r'(?<=\w)_(?!\w)',
      r'\\_',
      re.sub(r'(?m)([\\|]|(?<!^)(?<!^ )(?<!^  )\*|\*(?! ))', r'\\\1', piece),
    )
    for number, piece in enumerate(pieces)
  )


def _process(app, what, name, obj, options, lines):
  lines[:] = as_rst(lines)


def _skip(app, what, name, obj, skip, options):
  """Fields of a NamedTuple are said by its docstring."""
  alias = (getattr(obj, '__doc__', '') or '').startswith('Alias for field')
  return True if alias else None


def setup(app):
  """Called by Sphinx."""
  app.connect('autodoc-process-docstring', _process, priority=400)
  app.connect('autodoc-skip-member', _skip)
