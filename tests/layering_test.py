"""The architecture is a test: who may import whom, and who may do what."""

import ast
import itertools
import pathlib

import pytest

_ROOT = pathlib.Path(__file__).parents[1]

# A module imports only from rows above its own.
_LAYERS = (
  'base',
  'keys activations losses kernels layerwise stats store gradient_check '
  'hessian',
  'initializers shapeset curvature trajectories distributions pictures '
  'checkpoints tables parsing',
  'tuning profiles grams',
  'mlp datasets linear_regime plots comparison claims',
  'probes networks training report glorot2010 lectures',
  'theory equation_claims glorot2010_table',
  'propagation sweeps costs events singular_values glorot2010_figures',
  'longruns',
  'study',
  'plans launchers collection',
  'launch',
)
_ROW = {
  name: row for row, names in enumerate(_LAYERS) for name in names.split()
}
# Packages that a plain `import initlab.<module>` may load.
_CHEAP = {'jax', 'jaxlib', 'numpy', 'optax', 'chex', 'absl'}

_MODULES = sorted((_ROOT / 'initlab').glob('[a-z]*.py'))
_SOURCES = sorted([*_MODULES, *(_ROOT / 'experiments').glob('[a-z]*.py')])


def _name(path):
  return path.stem


def _imports(tree):
  """Dotted names that a syntax tree imports, those of `from` with what."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def _attributes(tree):
  """Dotted names such as `jax.random.split` that appear in a syntax tree."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Attribute):
      yield ast.unparse(node)


def test_every_module_has_a_layer():
  assert {path.stem for path in _MODULES} - {'__init__'} == set(_ROW)


@pytest.mark.parametrize('path', _MODULES, ids=_name)
def test_imports_only_from_rows_above(path):
  tree = ast.parse(path.read_text())
  for name in _imports(tree):
    package, _, module = name.partition('.')
    assert package != 'experiments', f'{path.name} imports {name}'
    if package == 'initlab':
      assert _ROW[module] < _ROW[path.stem], f'{path.name} imports {name}'


def test_experiments_do_not_import_each_other():
  for path in (_ROOT / 'experiments').glob('[a-z]*.py'):
    names = _imports(ast.parse(path.read_text()))
    assert not any(name.startswith('experiments') for name in names)


@pytest.mark.parametrize('path', _MODULES, ids=_name)
def test_a_plain_import_is_cheap(path):
  tree = ast.parse(path.read_text())
  tree.body = [
    node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)
  ]
  tops = {name.partition('.')[0] for name in _imports(tree)}
  import sys

  assert tops <= _CHEAP | {'initlab'} | set(sys.stdlib_module_names)


@pytest.mark.parametrize(
  ('what', 'where'),
  [
    ('jax.random.fold_in', 'keys'),
    ('jax.random.key', 'keys'),
    ('jax.config', 'launch'),
    ('flags.', 'launch'),
    ('os.replace', 'store'),
    ('jax.random.split', 'nowhere'),
    ('jax.random.PRNGKey', 'nowhere'),
    ('jax.debug.callback', 'nowhere'),
    ('jax.pure_callback', 'nowhere'),
    ('pickle.', 'nowhere'),
  ],
)
def test_only_one_module_may(what, where):
  for path in _SOURCES:
    names = _attributes(ast.parse(path.read_text()))
    users = [
      name
      for name in names
      if name == what or name.startswith(what.rstrip('.') + '.')
    ]
    assert not users or path.stem == where, f'{path.name} uses {users[0]}'


def test_only_the_modules_that_draw_import_a_plotting_library():
  for path in _SOURCES:
    names = _imports(ast.parse(path.read_text()))
    if any(name.startswith('matplotlib') for name in names):
      drawing = ('plots', 'trajectories', 'distributions', 'pictures')
      assert path.stem in drawing


@pytest.mark.parametrize('path', _SOURCES, ids=_name)
def test_says_what_it_is_for(path):
  tree = ast.parse(path.read_text())
  assert ast.get_docstring(tree)
  for node in itertools.chain.from_iterable(
    [tree.body, *(n.body for n in tree.body if isinstance(n, ast.ClassDef))]
  ):
    public = isinstance(node, ast.FunctionDef | ast.ClassDef)
    if public and not node.name.startswith('_'):
      assert ast.get_docstring(node), f'{path.name}: {node.name}'
