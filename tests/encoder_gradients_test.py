"""Gradients of the stream, against those of drawn networks in float64."""

import numpy as np
import pytest
from scipy import special

from initlab import attention, encoder_gradients

_N, _T = 96, 24
_BLOCK = attention.Block(
  width=_N, hidden=4 * _N, tokens=_T,
  query=1.2 / _N, key=1.0 / _N, value=1 / _N, output=1 / _N,
  up=1 / _N, down=0.25 / _N, skip=0.9, branch=0.8,
)  # fmt: skip
_START = attention.Signal(0.0, 1.0, 0.2)


def _moments(x):
  """Variance and covariance of `[T, n]`, over features."""
  gram = x @ x.T / x.shape[1]
  square = np.trace(gram) / len(x)
  return square, (gram.sum() - np.trace(gram)) / (len(x) * (len(x) - 1))


def _normalize(x):
  return x / np.sqrt((x**2).mean(-1, keepdims=True))


def _normalized_back(x, g):
  """The pull-back of `_normalize`."""
  rms = np.sqrt((x**2).mean(-1, keepdims=True))
  along = (g * x).mean(-1, keepdims=True) * x / rms**2
  return (g - along) / rms


_NORMS = {
  None: (_normalize, _normalized_back),
  'tanh': (np.tanh, lambda x, g: g / np.cosh(x) ** 2),
}


def _drawn(seed, layers, block):
  """Moments of dC/dx in front of every block and after the last, `[N + 1, 2]`.

  Softmax weights are constants, as in the theory.
  """
  random = np.random.default_rng(seed)
  draw = lambda *shape: random.normal(size=shape)
  norm, norm_back = _NORMS[block.elementwise]
  shared, own = _START.covariance, _START.variance - _START.covariance
  x = shared**0.5 * draw(_N) + own**0.5 * draw(_T, _N)
  pulls = []
  for index in range(2 * layers):
    inside = norm(x) if block.norm == 'pre' else x
    if index % 2 == 0:
      w = {
        name: getattr(block, name) ** 0.5 * draw(_N, _N)
        for name in ('query', 'key', 'value', 'output')
      }
      logits = inside @ w['query'] @ (inside @ w['key']).T / _N**0.5
      p, mixing = special.softmax(logits, axis=1), w['value'] @ w['output']
      out = p @ inside @ mixing
      pull = lambda g, p=p, m=mixing: p.T @ g @ m.T
    else:
      up = block.up**0.5 * draw(_N, block.hidden)
      down = block.down**0.5 * draw(block.hidden, _N)
      on = inside @ up > 0
      out = (inside @ up * on) @ down
      pull = lambda g, up=up, down=down, on=on: (on * (g @ down.T)) @ up.T
    total = block.skip * x + block.branch * out

    def back(g, x=x, total=total, pull=pull):
      if block.norm == 'post':
        g = norm_back(total, g)
      inner = pull(g)
      if block.norm == 'pre':
        inner = norm_back(x, inner)
      return block.skip * g + block.branch * inner

    pulls.append(back)
    x = norm(total) if block.norm == 'post' else total
  g = draw(_T, _N)
  rows = [_moments(g)]
  for index, back in enumerate(reversed(pulls)):
    g = back(g)
    if index % 2:
      rows.append(_moments(g))
  return rows[::-1]


@pytest.mark.parametrize(
  ('norm', 'elementwise'),
  [
    ('pre', None),
    pytest.param('post', None, marks=pytest.mark.slow),
    pytest.param('pre', 'tanh', marks=pytest.mark.slow),
  ],
)
def test_gradients_of_three_blocks(norm, elementwise):
  """16 networks: 5 standard errors, and 0.04 of order 1 / n and 1 / T."""
  block = _BLOCK._replace(norm=norm, elementwise=elementwise)
  found = np.array([_drawn(seed, 3, block) for seed in range(16)])
  expected = [
    [each.variance, each.covariance]
    for each in encoder_gradients.gradients(_START, 3, block)
  ]
  assert expected[-1] == [1.0, 0.0]
  error = found.std(axis=0) / len(found) ** 0.5
  off = np.abs(found.mean(axis=0) - expected)
  assert (off < 5 * error + 0.04).all()


def test_even_attention_hands_every_token_the_mean_gradient():
  """Of T tokens with gradients of variance 1: 1 / T, the same for all."""
  block = _BLOCK._replace(query=0.0, norm='none', skip=0.0, branch=1.0)
  (before, after) = encoder_gradients.gradients(_START, 1, block)
  assert after.variance == 1
  assert before.variance == pytest.approx(before.covariance)
  # The feed-forward layer halves the square, as a ReLU does.
  assert before.variance == pytest.approx(0.5 / _T, rel=1e-4)


def test_tokens_that_are_all_alike_stay_so():
  """Their cosine is above 1 by rounding, in either direction."""
  block = _BLOCK._replace(skip=0.0, branch=1.0, norm='post')
  path = attention.encoder(_START, 8, block)
  downward = encoder_gradients.gradients(_START, 8, block)
  assert path[-1].cosine == pytest.approx(1)
  assert np.isfinite([each.variance for each in downward]).all()


def test_attention_keeps_the_sum_of_the_gradients_of_all_tokens():
  """Since its weights of a query sum to 1; T times the variance of the mean."""
  block = _BLOCK._replace(
    norm='none', skip=0.0, branch=1.0, activation='identity'
  )
  for each in encoder_gradients.gradients(_START, 3, block):
    total = each.variance + (_T - 1) * each.covariance
    assert total == pytest.approx(1)
