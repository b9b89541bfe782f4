"""The programs of the laboratory: `python -m experiments.<name>`.

A program's process silences what XLA logs of its own accord, below fatal: every
program loaded from the compilation cache would print a page of CPU features.
That has to be said before JAX is imported. Python errors are not affected.
"""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
