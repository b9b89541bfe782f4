"""The programs of the laboratory: `python -m experiments.<name>`.

XLA's own log messages below fatal are disabled: every program loaded from the
compilation cache would print a page of CPU features. This must be set before
JAX is imported. Python errors are not affected.
"""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
