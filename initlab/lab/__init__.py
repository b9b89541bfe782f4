"""What a notebook calls: an instrument in one line.

    report = initlab.variance(init=['standard', 'glorot', spread])
    report                      # verdict, table and figure; text in a terminal
    report.to_frame()           # one row a seed and layer
    report.figure('gradient_std')
    initlab.variance(x=array)                       # on inputs of one's own
    initlab.audit(init, model, batch)               # of any JAX model
    initlab.sweep(run, seeds=64)                    # of any function of a key

The knobs are those of the command line, as Python values; a list is a sweep.
Numbers are those of the command line, too, bit for bit at the same lanes and
devices of one kind. Nothing is written unless a folder is named: with
`out='results'` the rows lie where the command line looks for them, and what is
there is not computed again.
"""

from initlab.lab.models import (
  AuditReport,
  CoordinateReport,
  audit,
  coordinate_check,
)
from initlab.lab.studies import Report, learning, run, variance
from initlab.lab.sweeps import SweepReport, sweep

__all__ = [
  'AuditReport',
  'CoordinateReport',
  'Report',
  'SweepReport',
  'audit',
  'coordinate_check',
  'learning',
  'run',
  'sweep',
  'variance',
]
