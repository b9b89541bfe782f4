"""Glorot & Bengio 2010: its figures, equations, table 1 and side results."""

SOURCE = 'Glorot & Bengio 2010'
