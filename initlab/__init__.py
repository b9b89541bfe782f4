"""initlab: what an initialization does to a neural network, over many seeds.

The modules, from the vocabulary up to the programs, are listed with their
layers in `tests/layering_test.py`; the README shows how they fit together.
"""
