"""The atlas: figures of the literature on initialization, each a claim.

Every chapter is a figure that a later paper is known for, at the size of a
laptop, beside what the paper shows. The marks say whether it was reproduced: a
criterion is written from the source, before the run, and stays.
"""

from initlab import launch
from initlab.experiment import Chapter, Collection, program_of

from . import (
  claims_spectra,
  jacobian_spectrum,
  learning_time,
  log_normal,
  phase_diagram,
  residual_growth,
)

COLLECTION = Collection(
  name='atlas',
  program=program_of(__name__),
  doc=__doc__,
  chapters=(
    Chapter(
      phase_diagram.EXPERIMENT,
      'Poole 2016 and Schoenholz 2017, figures 1 and 2: the phase diagram',
      full=('--width=1000',),
      text='In the plane of the variances of weights and biases a line parts '
      'order, where all examples become alike and gradients vanish, from '
      'chaos, where near examples part and gradients explode. Signals of '
      'networks of 1,000 units follow the theory of infinite width.',
    ),
    Chapter(
      learning_time.EXPERIMENT,
      'Saxe 2014, figure 6A: learning time against depth',
      full=('--widths=1000', '--depth=2,5,10,20,50,100', '--examples=10000'),
      text='A deep linear network that starts from orthogonal matrices learns '
      'in a time that does not depend on its depth, as one that was '
      'pre-trained layer by layer; from scaled normal matrices it takes the '
      'longer the deeper it is.',
    ),
    Chapter(
      jacobian_spectrum.EXPERIMENT,
      'Saxe 2014, figure 6B: products of matrices',
      ('--activation=identity',),
      full=('--width=1000', '--depth=100'),
      text='A product of many normal matrices keeps the mean square of a '
      'vector, but by a few directions that grow: most are lost.',
      panels=('largest_depth', 'isolated_depth'),
      claims=claims_spectra.PRODUCTS,
    ),
    Chapter(
      jacobian_spectrum.EXPERIMENT,
      'Pennington 2017, figures 1 and 2: singular values of Jacobians',
      ('--activation=relu,tanh',),
      full=('--depth=64',),
      text='On the critical line the mean squared singular value is 1 at any '
      'depth. The largest grows with depth for normal weights and for ReLU '
      'units; sigmoidal units with orthogonal weights and a small variance '
      'keep all near 1.',
      claims=claims_spectra.JACOBIANS,
    ),
    Chapter(
      log_normal.EXPERIMENT,
      'Hanin & Rolnick 2018, figure 1; Hanin & Nica 2019: log-normal lengths',
      full=('--width=50,100,200', '--depth=10,20,50'),
      text='Even with critical weights the length of the output varies from '
      'network to network, by a factor that grows exponentially with the sum '
      'of the reciprocals of the widths.',
    ),
    Chapter(
      residual_growth.EXPERIMENT,
      'Zhang 2019, De & Smith 2020, Bachlechner 2020: residual networks',
      full=('--depth=100', '--seeds=0:64'),
      text='Without normalization the variance of a residual network doubles '
      'in every block; a factor of zero at the end of each branch, or a last '
      'layer of zeros, makes it the identity.',
    ),
  ),
  full='at the size of the papers, for a GPU',
  marks=('reproduced', 'not reproduced', 'not tested'),
)

if __name__ == '__main__':
  launch.collect(COLLECTION)
