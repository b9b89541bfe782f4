"""Moments of transformer components, against quadrature and networks."""

import numpy as np
import pytest
from scipy import special

from initlab import attention, base

_Z = 6  # standard errors


def _tokens(random, signal, count, tokens=2):
  """`[count, tokens]` normal entries with these moments."""
  common = signal.covariance**0.5 * random.normal(size=(count, 1))
  own = (signal.variance - signal.covariance) ** 0.5
  return signal.mean + common + own * random.normal(size=(count, tokens))


def _check(x, signal):
  """Mean, variance and covariance of `[count, 2]`, within 6 standard errors."""
  count, centred = len(x), x - signal.mean
  for drawn, found in (
    (x.mean(1), signal.mean),
    ((centred**2).mean(1), signal.variance),
    (centred.prod(1), signal.covariance),
  ):
    assert abs(drawn.mean() - found) < _Z * drawn.std() / count**0.5


def test_components_are_what_is_drawn():
  """Of 40,000 pairs of tokens."""
  random = np.random.default_rng(0)
  signal = attention.Signal(0.0, 1.7, 0.5)
  x = _tokens(random, signal, 40_000)
  relu = np.maximum(x, 0)
  _check(relu, attention.relu(signal))
  _check(x * special.ndtr(x), attention.gelu(signal))
  shifted = attention.relu(signal)
  mask = random.random(x.shape) < 0.9
  _check(relu * mask / 0.9, attention.dropout(shifted, 0.1))
  _check(
    0.6 * x + 2 * _tokens(random, signal, len(x)),
    attention.add(signal, signal, 0.6, 2.0),
  )


def test_activations_in_closed_form():
  """Two ways, the closed form and the quadrature over pairs."""
  signal = attention.Signal(0.0, 2.3, -0.4)
  for name, closed in (('relu', attention.relu), ('gelu', attention.gelu)):
    np.testing.assert_allclose(
      attention.activate(signal, name), closed(signal), rtol=1e-8
    )


def test_linear_layers_take_the_mean_along():
  """W of 400 units, of tokens with a mean: n Var[w] E x_i x_j."""
  random, n = np.random.default_rng(0), 400
  signal = attention.Signal(0.5, 1.0, 0.3)
  x = _tokens(random, signal, n).T
  w = random.normal(size=(n, 20_000)) * 0.05
  found = attention.linear(
    attention.Signal(
      x.mean(), (x**2).mean() - x.mean() ** 2, x.prod(0).mean() - x.mean() ** 2
    ),
    n,
    0.0025,
  )
  _check((x @ w).T, found)
  layer = attention.layer_norm(signal)
  assert layer == (0.0, 1.0, 0.3)


@pytest.mark.parametrize(
  ('variance', 'tokens', 'correlation'),
  [(0.5, 16, 1.0), (1.0, 64, 0.4), (9.0, 32, 1.0), (4.0, 32, -0.5)],
)
def test_overlap_of_softmax_weights(variance, tokens, correlation):
  """20,000 draws of all logits."""
  random = np.random.default_rng(0)
  own, other = random.normal(size=(2, 20_000, tokens))
  other = correlation * own + (1 - correlation**2) ** 0.5 * other
  p, q = (special.softmax(variance**0.5 * s, axis=1) for s in (own, other))
  drawn = (p * q).sum(1)
  found = attention.overlap(variance, tokens, correlation)
  assert abs(drawn.mean() - found) < _Z * drawn.std() / len(p) ** 0.5


def test_overlap_at_its_ends():
  """1 / T, 1, and e^(r v) / T of many keys; one key has all."""
  assert attention.overlap(0.0, 50) == pytest.approx(1 / 50, rel=1e-6)
  assert attention.overlap(3.0, 1, 0.2) == pytest.approx(1, rel=1e-6)
  many = attention.overlap(0.2, 100_000, 0.5)
  # The next term is of the order e^(2 v) / T, 2e-5.
  assert many == pytest.approx(np.exp(0.1) / 100_000, rel=1e-4)
  assert attention.condensation(128) == pytest.approx(9.704, abs=1e-3)


@pytest.mark.parametrize('variance', [1.0, 66.0, 400.0])
def test_overlap_on_a_grid_that_is_four_times_as_fine(variance):
  """T int t E[e^2s e^(-t e^s)] E[e^(-t e^s)]^(T - 1) dt, over ln t."""
  tokens, deviation, step = 64, variance**0.5, 0.1
  z = np.arange(-8, 8, step / max(deviation, 1))
  density = np.exp(-0.5 * z**2) / np.exp(-0.5 * z**2).sum()
  found = 0.0
  for u in np.arange(-6 * deviation - 30, 6 * deviation + 8, step):
    own = np.exp(u + deviation * z)
    decay = density * np.exp(-own)
    empty = min(decay.sum(), 1.0)
    found += tokens * (own * (own * decay)).sum() * empty ** (tokens - 1) * step
  assert attention.overlap(variance, tokens) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize('variance', [0.5, 9.0, 66.0])
def test_one_integral_is_the_limit_of_two(variance):
  """Each of them errs by less than 1e-6, and 1 - r = 1e-9 changes v 1e-9."""
  alone = attention.overlap(variance, 64, 1.0)
  pair = attention.overlap(variance, 64, 1 - 1e-9)
  assert pair == pytest.approx(alone, rel=1e-6, abs=1e-9 * variance)


@pytest.mark.parametrize(('variance', 'tokens'), [(0.5, 16), (9.0, 64)])
def test_entropy_of_softmax_weights(variance, tokens):
  """20,000 draws of all logits."""
  random = np.random.default_rng(0)
  logits = variance**0.5 * random.normal(size=(20_000, tokens))
  drawn = special.entr(special.softmax(logits, axis=1)).sum(1)
  found = attention.entropy(variance, tokens)
  assert abs(drawn.mean() - found) < _Z * drawn.std() / len(drawn) ** 0.5


def test_entropy_at_its_ends():
  """ln T, ln T - v / 2 of many keys, and 0 where one has all."""
  assert attention.entropy(0.0, 50) == pytest.approx(np.log(50), rel=1e-12)
  assert attention.entropy(3.0, 1) == pytest.approx(0, abs=1e-6)
  many = attention.entropy(0.1, 1_000_000)
  # Of the order e^v / T is neglected, 1e-6.
  assert many == pytest.approx(np.log(1_000_000) - 0.05, abs=2e-6)
  assert 0 < attention.entropy(400.0, 64) < 0.25


def _draw(random, block):
  n, hidden = block.width, block.hidden
  shapes = {
    'query': (n, n), 'key': (n, n), 'value': (n, n), 'output': (n, n),
    'up': (n, hidden), 'down': (hidden, n),
  }  # fmt: skip
  return {
    name: getattr(block, name) ** 0.5 * random.normal(size=shape)
    for name, shape in shapes.items()
  }


def _attend(x, w):
  logits = (x @ w['query']) @ (x @ w['key']).T / x.shape[1] ** 0.5
  return special.softmax(logits, axis=1) @ x @ w['value'] @ w['output']


def _normalize(x):
  x = x - x.mean(1, keepdims=True)
  return x / x.std(1, keepdims=True)


def _moments(x):
  """Variance and covariance of `[T, n]`, over features."""
  gram = x @ x.T / x.shape[1]
  tokens = len(x)
  square = np.trace(gram) / tokens
  return square, (gram.sum() - np.trace(gram)) / (tokens * (tokens - 1))


_N, _T = 128, 48
_BLOCK = attention.Block(
  width=_N, hidden=4 * _N, tokens=_T,
  query=1.2 / _N, key=1.0 / _N, value=1 / _N, output=1 / _N,
  up=2 / _N, down=0.25 / _N,
)  # fmt: skip


@pytest.mark.parametrize(
  'norm',
  [
    'pre',
    pytest.param('post', marks=pytest.mark.slow),
    pytest.param('none', marks=pytest.mark.slow),
  ],
)
def test_encoders_of_128_units_and_48_tokens(norm):
  """Three blocks, 12 networks: 5 standard errors, and 0.02 of order 1 / n."""
  block = _BLOCK._replace(norm=norm, skip=0.8, branch=0.6)
  start = attention.Signal(0.0, 1.0, 0.2)
  found = []
  for seed in range(12):
    random = np.random.default_rng(seed)
    x = _tokens(random, start, _N, _T).T
    rows = [_moments(x)]
    for _ in range(3):
      w = _draw(random, block)
      for part in (
        lambda x, w=w: _attend(x, w),
        lambda x, w=w: np.maximum(x @ w['up'], 0) @ w['down'],
      ):
        inside = _normalize(x) if norm == 'pre' else x
        x = 0.8 * x + 0.6 * part(inside)
        x = _normalize(x) if norm == 'post' else x
      rows.append(_moments(x))
    found.append(rows)
  path = attention.encoder(start, 3, block)
  expected = [[each.variance, each.covariance] for each in path]
  error = np.std(found, axis=0) / len(found) ** 0.5
  off = np.abs(np.mean(found, axis=0) - expected)
  assert (off < 5 * error + 0.02).all()


@pytest.mark.slow
def test_attention_of_given_tokens():
  """Given the moments of the tokens at hand: 5 standard errors, and 0.015.

  Of logits with a variance of 2, so e^v / T is 15% of the variance.
  """
  block, found = _BLOCK._replace(query=2.5 / _N), []
  start = attention.Signal(0.0, 1.0, 0.2)
  assert attention.logit_variance(start, block) == pytest.approx(2)
  for seed in range(24):
    random = np.random.default_rng(seed)
    x = _tokens(random, start, _N, _T).T
    after = attention.attend(attention.Signal(0.0, *_moments(x)), block)
    drawn = _moments(_attend(x, _draw(random, block)))
    found.append(np.subtract(drawn, [after.variance, after.covariance]))
  error = np.std(found, axis=0) / len(found) ** 0.5
  assert (np.abs(np.mean(found, axis=0)) < 5 * error + 0.015).all()
  assert error.max() < 0.01


def test_gradients_of_the_branches():
  """Of the values' path and of the feed-forward layer: 10% in 6 networks."""
  start = attention.Signal(0.0, 1.0, 0.2)
  expected = attention.slopes(start, _BLOCK)
  found = []
  for seed in range(6):
    random = np.random.default_rng(seed)
    x = _tokens(random, start, _N, _T).T
    w, g = _draw(random, _BLOCK), random.normal(size=(_T, _N))
    logits = (x @ w['query']) @ (x @ w['key']).T / _N**0.5
    values = (
      special.softmax(logits, axis=1).T @ g @ w['output'].T @ w['value'].T
    )
    on = x @ w['up'] > 0
    forward = (on * (g @ w['down'].T)) @ w['up'].T
    found.append([(values**2).mean(), (forward**2).mean()])
  np.testing.assert_allclose(np.mean(found, 0), expected, rtol=0.1)
  thinned = attention.slopes(start, _BLOCK._replace(dropout=0.5))
  np.testing.assert_allclose(thinned, 2 * np.array(expected))


def test_deep_scale_keeps_the_variance():
  """Branches have variance 1 at its own cosine, but for sum p^2 of order 1 / T.

  A token's output has r + (1 - r) sum p^2 where DeepScaleLM has r.
  """
  block = attention.deep_scale(24, 256, 4096, cosine=0.6, dropout=0.1)
  signal = attention.Signal(0.0, 1.0, 0.6)
  for part in (attention.attend, attention.feed_forward):
    found = attention.dropout(part(signal, block), 0.1)
    assert found.variance == pytest.approx(1, rel=2e-3)
  assert block.skip**2 + block.branch**2 == pytest.approx(1)


def test_components_by_hand():
  """Dropout of a signal with a mean, and the weights that queries share."""
  found = attention.dropout(attention.Signal(2.0, 1.0, 0.5), 0.5)
  assert found == (2.0, 6.0, 0.5)
  signal = attention.Signal(0.0, 1.0, 0.5)
  found = attention.attend(signal, _BLOCK)
  variance = 1.2 * 0.5
  for r, square in ((1.0, found.variance), (0.5, found.covariance)):
    expected = 0.5 + 0.5 * attention.overlap(variance, _T, r)
    assert square == pytest.approx(expected, rel=1e-9)


def test_rank_collapse_without_skips():
  """Uniform attention alone makes all tokens alike, in one layer."""
  block = _BLOCK._replace(query=0.0, norm='none')
  signal = attention.Signal(0.0, 1.0, 0.1)
  found = attention.attend(signal, block)
  assert found.cosine == pytest.approx(1, rel=1e-6)
  assert found.variance == pytest.approx(0.1 + 0.9 / _T, rel=1e-5)


def test_refuses_what_cannot_be():
  tilted = attention.Signal(0.1, 1.0, 0.0)
  with pytest.raises(base.UserError, match='mean 0'):
    attention.relu(tilted)
  with pytest.raises(base.UserError, match='rate of dropout'):
    attention.dropout(tilted, 1.0)
  with pytest.raises(base.UserError, match='one token'):
    attention.overlap(1.0, 0)
  with pytest.raises(base.UserError, match='correlation'):
    attention.overlap(1.0, 4, 1.5)
  with pytest.raises(base.UserError, match="norm 'before'"):
    attention.encoder(tilted, 1, _BLOCK._replace(norm='before'))
  with pytest.raises(base.UserError, match='cosine'):
    attention.deep_scale(12, 64, 16, cosine=0.0)
