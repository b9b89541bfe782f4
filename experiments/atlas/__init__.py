"""Figures of the literature after Glorot & Bengio, each with its claims."""
