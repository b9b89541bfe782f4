"""Languages: what is asked follows from what came before, and only so."""

import functools
import math

import jax
import numpy as np
import pytest
from scipy import stats

from initlab import base, keys
from initlab.models import languages

_LANGUAGES = [
  languages.copying(symbols=5, size=4),
  languages.induction(symbols=6, queries=3),
  languages.modular_sums(modulus=5, terms=3),
  languages.opposites(symbols=5, length=8),
]


@functools.cache
def _drawn(index):
  draw = jax.jit(_LANGUAGES[index].draw, static_argnums=1)
  return tuple(map(np.asarray, draw(keys.root(5), 4096)))


@pytest.mark.parametrize('index', range(4))
def test_shapes_and_ranges(index):
  language, (tokens, targets, asked) = _LANGUAGES[index], _drawn(index)
  assert tokens.shape == targets.shape == asked.shape == (4096, language.length)
  for each in (tokens, targets):
    assert each.dtype == np.int32
    assert 0 <= each.min() <= each.max() < language.vocabulary
  assert asked.dtype == bool
  assert asked.any(axis=1).all()


@pytest.mark.parametrize('index', range(3))
def test_a_target_is_the_token_that_follows(index):
  tokens, targets, asked = _drawn(index)
  inside = asked[:, :-1]
  np.testing.assert_array_equal(targets[:, :-1][inside], tokens[:, 1:][inside])


def test_a_copy_repeats_the_word():
  tokens, targets, asked = _drawn(0)
  assert (tokens[:, 4] == 5).all()
  np.testing.assert_array_equal(tokens[:, :4], targets[:, 4:])
  np.testing.assert_array_equal(asked.sum(axis=1), 4)


def test_an_induced_token_followed_the_same_token_before():
  tokens, targets, asked = (each[:64] for each in _drawn(1))
  firsts, distances = set(), set()
  for row, place in zip(*np.nonzero(asked), strict=True):
    (first,) = np.nonzero(tokens[row, :6] == tokens[row, place])[0]
    assert targets[row, place] == tokens[row, first + 1]
    firsts.add(int(first))
    distances.add(place - first)
  # A head that looks back a fixed distance is not enough.
  assert len(distances) > 6
  assert firsts == {0, 1, 2, 3, 4}
  np.testing.assert_array_equal(asked.sum(axis=1), 3)


def test_a_sum_is_that_of_the_terms():
  tokens, targets, asked = _drawn(2)
  np.testing.assert_array_equal(targets[:, -1], tokens[:, :3].sum(axis=1) % 5)
  np.testing.assert_array_equal(asked.sum(axis=1), 1)


def test_opposites_are_half_a_sequence_apart():
  tokens, targets, asked = _drawn(3)
  assert asked.all()
  np.testing.assert_array_equal(targets[:, :4], tokens[:, 4:])
  np.testing.assert_array_equal(targets[:, 4:], tokens[:, :4])


@pytest.mark.parametrize('index', range(4))
def test_the_last_token_alone_tells_nothing(index):
  language, (tokens, targets, asked) = _LANGUAGES[index], _drawn(index)
  # One pair a sequence, since those of one sequence are dependent.
  place = asked.shape[1] - 1 - np.argmax(asked[:, ::-1], axis=1)
  rows = np.arange(len(place))
  last, target = tokens[rows, place], targets[rows, place]
  entropy = 0.0
  for token in np.unique(last):
    counts = np.bincount(target[last == token], minlength=language.vocabulary)
    counts = counts[counts > 0]
    # A right language fails with a probability of 1e-6 for each token.
    assert stats.chisquare(counts).pvalue > 1e-6
    entropy += np.mean(last == token) * math.log(len(counts))
  assert math.isclose(entropy, language.blind)


def test_the_blind_loss_is_that_of_even_logits():
  language = _LANGUAGES[0]
  sequences = languages.Sequences(*(each[:8] for each in _drawn(0)))
  logits = np.zeros((8, language.length, language.vocabulary), np.float32)
  logits[..., 5] = -np.inf
  # Rounding of a mean of 32 equal logarithms.
  assert math.isclose(
    languages.loss(logits, sequences), language.blind, rel_tol=1e-6
  )
  right = np.eye(6, dtype=np.float32)[sequences.targets] * 50
  assert languages.loss(right, sequences) < 1e-6
  assert languages.accuracy(right, sequences) == 1


@pytest.mark.parametrize(
  'make',
  [
    lambda: languages.copying(symbols=1),
    lambda: languages.induction(symbols=2),
    lambda: languages.induction(queries=0),
    lambda: languages.modular_sums(terms=1),
    lambda: languages.opposites(symbols=1),
    lambda: languages.opposites(length=3),
  ],
)
def test_a_language_without_a_choice_is_refused(make):
  with pytest.raises(base.UserError, match='at least'):
    make()
