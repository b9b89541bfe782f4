"""The transformer: against plain NumPy, causal, and its leaves as declared."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from initlab import base, kernels, keys
from initlab.models import languages, leaves, transformer

_CONFIG = transformer.Config(vocabulary=7, length=5, width=8, heads=2, blocks=2)


def _inputs():
  """Any weights, and two sequences."""
  rng = np.random.default_rng(0)
  draw = lambda leaf: jnp.float32(rng.standard_normal(leaf.shape) / 2)
  is_leaf = lambda node: isinstance(node, leaves.Leaf)
  params = jax.tree.map(draw, transformer.declared(_CONFIG), is_leaf=is_leaf)
  return params, jnp.int32(rng.integers(7, size=(2, 5)))


def _norm(x, scale):
  return x / np.sqrt(np.mean(x**2) + 1e-6) * scale


def _by_hand(
  params, tokens, exponent, branch, post=False, skips=(1.0, 1.0), norm=_norm
):
  """The logits of one sequence, position by position, in float64.

  Attention is causal with the norm in front of the branch, as by default, and
  full with the norm after it.
  """
  params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), params)
  x = params['embedding'][tokens] + params['position'][: len(tokens)]
  for index in range(len(params['blocks']['mlp']['up'])):
    layer = jax.tree.map(lambda leaf, i=index: leaf[i], params['blocks'])
    attention, mlp = layer['attention'], layer['mlp']
    before = lambda each, scale: each if post else norm(each, scale)
    after = lambda each, scale: norm(each, scale) if post else each
    normed = [before(each, attention['norm']) for each in x]
    moved = np.zeros_like(x)
    for head in range(attention['query'].shape[1]):
      query, key, value = (
        [each @ attention[name][:, head] for each in normed]
        for name in ('query', 'key', 'value')
      )
      for t in range(len(tokens)):
        seen = len(tokens) if post else t + 1
        scores = [
          query[t] @ key[s] / len(key[s]) ** exponent for s in range(seen)
        ]
        weights = np.exp(scores) / np.sum(np.exp(scores))
        mixed = sum(w * v for w, v in zip(weights, value[:seen], strict=True))
        moved[t] += mixed @ attention['out'][head]
    x = skips[0] * x + branch * moved
    for t, each in enumerate(x):
      each = after(each, attention['norm'])
      hidden = before(each, mlp['norm']) @ mlp['up']
      inner = np.sqrt(2 / np.pi) * (hidden + 0.044715 * hidden**3)
      hidden = 0.5 * hidden * (1 + np.tanh(inner))
      x[t] = after(skips[1] * each + branch * hidden @ mlp['down'], mlp['norm'])
  return (
    np.stack([norm(each, params['norm']) for each in x]) @ params['readout']
  )


@pytest.mark.parametrize(('exponent', 'branch'), [(0.5, 1.0), (1.0, 0.25)])
def test_the_logits_are_those_of_plain_numpy(exponent, branch):
  params, tokens = _inputs()
  logits = transformer.apply(
    params, tokens, attention_exponent=exponent, branch=branch
  )
  hand = [_by_hand(params, row, exponent, branch) for row in np.asarray(tokens)]
  # Two blocks are about ten sums of up to 32 products of order one: rounding of
  # a few dozen units of 6e-8.
  np.testing.assert_allclose(logits, hand, atol=1e-5)


@pytest.mark.parametrize(
  ('normalize', 'norm', 'skip'),
  [
    (transformer.rms_norm, _norm, (0.8, 0.6)),
    (lambda x: jnp.tanh(x / 2), lambda x, scale: np.tanh(x / 2) * scale, 0.8),
  ],
)
def test_norms_after_the_branches_of_full_attention(normalize, norm, skip):
  params, tokens = _inputs()
  logits = transformer.apply(
    params,
    tokens,
    branch=0.5,
    skip=skip,
    norm='post',
    causal=False,
    normalize=normalize,
  )
  skips = skip if isinstance(skip, tuple) else (skip, skip)
  hand = [
    _by_hand(params, row, 0.5, 0.5, True, skips, norm)
    for row in np.asarray(tokens)
  ]
  np.testing.assert_allclose(logits, hand, atol=1e-5)


def test_a_place_of_the_norm_that_is_neither_is_refused():
  params, tokens = _inputs()
  with pytest.raises(base.UserError, match='pre, post'):
    transformer.stream(params, tokens, norm='sandwich')


@pytest.mark.parametrize('causal', [False, True])
def test_attention_weights_are_those_of_plain_numpy(causal):
  params, _ = _inputs()
  layer = jax.tree.map(lambda leaf: leaf[1], params['blocks']['attention'])
  x = np.random.default_rng(1).standard_normal((2, 3, 8)).astype(np.float32)
  found = transformer.attention_weights(layer, x, exponent=1.0, causal=causal)
  for b, head in np.ndindex(2, 2):
    query, key = (x[b] @ layer[name][:, head] for name in ('query', 'key'))
    logits = np.asarray(query @ key.T, np.float64) / 4
    logits[np.triu_indices(3, 1)] -= np.inf if causal else 0
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(found[b, head], expected, rtol=1e-4)


def test_a_logit_depends_on_no_later_token():
  params, tokens = _inputs()
  other = tokens.at[:, 3:].set((tokens[:, 3:] + 1) % 7)
  before, after = (transformer.apply(params, each) for each in (tokens, other))
  np.testing.assert_array_equal(before[:, :3], after[:, :3])
  assert not np.any(np.all(before[:, 3:] == after[:, 3:], axis=-1))


def test_zero_branches_leave_the_stream_as_it_is():
  params, tokens = _inputs()
  for layer, name in (('attention', 'out'), ('mlp', 'down')):
    params['blocks'][layer][name] *= 0
  stream = params['embedding'][tokens] + params['position'][None]
  direct = [
    [_norm(x, params['norm']) for x in row] for row in np.asarray(stream)
  ]
  logits = transformer.apply(params, tokens)
  # A sum of eight products.
  np.testing.assert_allclose(
    logits, direct @ np.asarray(params['readout']), atol=1e-5
  )


@pytest.mark.parametrize(
  ('name', 'fans'),
  [
    ('attention/query', (64, 64)),
    ('attention/out', (64, 64)),
    ('mlp/up', (64, 256)),
    ('mlp/down', (256, 64)),
  ],
)
def test_a_kernel_has_the_fans_of_its_matrix(name, fans):
  config = transformer.Config(7, 8, width=64, heads=4, blocks=3)
  layer, name = name.split('/')
  leaf = transformer.declared(config)['blocks'][layer][name]
  assert kernels.fans(leaf.shape, **leaf.axes) == fans


def test_init_draws_what_is_declared():
  choice = {'*': 'zeros', 'blocks/*': 'ones', '*/key': 'constant:value=2'}
  params = transformer.init(keys.root(0), _CONFIG, choice)
  shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
  is_leaf = lambda node: isinstance(node, leaves.Leaf)
  declared = jax.tree.leaves(transformer.declared(_CONFIG), is_leaf=is_leaf)
  assert shapes == [leaf.shape for leaf in declared]
  np.testing.assert_array_equal(params['blocks']['attention']['key'], 2)
  np.testing.assert_array_equal(params['blocks']['mlp']['up'], 1)
  np.testing.assert_array_equal(params['readout'], 0)


def test_bad_sizes_are_refused():
  with pytest.raises(base.UserError, match='no multiple of 3 heads'):
    transformer.Config(vocabulary=4, length=4, width=8, heads=3)
  with pytest.raises(base.UserError, match='blocks'):
    transformer.Config(vocabulary=4, length=4, blocks=0)


@pytest.mark.slow
@pytest.mark.parametrize(
  'language',
  [
    languages.copying(8, 8),
    languages.induction(12, 8),
    languages.modular_sums(7),
  ],
)
def test_learns_what_needs_attention(language):
  config = transformer.Config(
    language.vocabulary, language.length, width=32, heads=2
  )
  optimizer = optax.adam(3e-3)

  def loss(params, sequences):
    logits = transformer.apply(params, sequences.tokens)
    return languages.loss(logits, sequences)

  def step(carry, index):
    params, state = carry
    sequences = language.draw(keys.at(keys.root(1), index), 64)
    value, gradient = jax.value_and_grad(loss)(params, sequences)
    with jax.numpy_dtype_promotion('standard'):
      updates, state = optimizer.update(gradient, state, params)
    return (optax.apply_updates(params, updates), state), value

  params = transformer.init(keys.root(0), config)
  steps = jnp.arange(800, dtype=jnp.uint32)
  (params, _), values = jax.jit(
    lambda params: jax.lax.scan(step, (params, optimizer.init(params)), steps)
  )(params)
  assert values[0] > language.blind
  assert values[-1] < 0.05 * language.blind
  sequences = language.draw(keys.root(2), 256)
  logits = transformer.apply(params, sequences.tokens)
  assert languages.accuracy(logits, sequences) > 0.99
