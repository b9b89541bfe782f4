"""The atlas: figures of the literature on initialization, each a claim.

Every chapter is a figure that a later paper is known for, at the size of a
laptop, beside what the paper shows. The marks say whether it was reproduced: a
criterion is written from the source, before the run, and stays.
"""

from initlab import launch
from initlab.experiment import Chapter, Collection, program_of

from . import (
  claims_spectra,
  coordinate_check,
  isometry_training,
  jacobian_spectrum,
  learning_time,
  log_normal,
  map_chapter,
  phase_diagram,
  rate_transfer,
  rectifier_depth,
  residual_growth,
  residual_training,
  signal_plots,
  trainability,
  transformer_chapters,
)

COLLECTION = Collection(
  name='atlas',
  program=program_of(__name__),
  doc=__doc__,
  tables=map_chapter.tables,
  chapters=(
    map_chapter.CHAPTER,
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
      trainability.EXPERIMENT,
      'Schoenholz 2017, figure 5: depth at which networks still learn',
      full=(
        '--width=300',
        '--dataset=mnist',
        '--examples=50000',
        '--batch_size=256',
        '--learning_rate=0.001',
        '--weight_variance=' + ','.join(f'{1 + i / 10:g}' for i in range(31)),
        '--depth=' + ','.join(map(str, range(10, 110, 10))),
      ),
      text='Networks learn if signals can pass them: off the critical line '
      'only up to a depth of about 6 times the depth scale of correlations, '
      'near the line at every depth.',
    ),
    Chapter(
      learning_time.EXPERIMENT,
      'Saxe 2014, figure 6A: learning time against depth',
      full=(
        '--widths=1000',
        '--dataset=mnist',
        '--examples=10000',
        '--depth=2,5,10,20,50,100',
      ),
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
      isometry_training.EXPERIMENT,
      'Pennington 2017, the training half: learning time of isometric networks',
      full=('--width=400', '--depth=10,30,100,300', '--steps=1000'),
      text='Networks with isometric Jacobians, tanh with orthogonal weights '
      'and a small variance, learn orders of magnitude sooner than others, in '
      'a number of steps that grows as the square root of the depth.',
    ),
    Chapter(
      rectifier_depth.EXPERIMENT,
      'He 2015, figures 2 and 3: 22 and 30 layers of rectifiers',
      full=('--widths=1000', '--steps=50000', '--record_every=5000'),
      text='A convolutional network of 22 layers learns from either weights, '
      'sooner from those of He; one of 30 layers learns from those of He, and '
      'from those of Xavier not at all.',
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
      signal_plots.EXPERIMENT,
      'Brock, De & Smith 2021, figure 1: signal propagation plots',
      full=('--width=64', '--blocks=16', '--stages=4', '--side=64'),
      text='In residual networks with batch normalization the variance of the '
      'channels grows in every block and is reset by every stage. Without it '
      'the means of channels grow, which standardized kernels prevent.',
    ),
    Chapter(
      residual_growth.EXPERIMENT,
      'Zhang 2019, De & Smith 2020, Bachlechner 2020: residual networks',
      full=('--depth=100', '--seeds=0:64'),
      text='Without normalization the variance of a residual network doubles '
      'in every block; a factor of zero at the end of each branch, or a last '
      'layer of zeros, makes it the identity.',
    ),
    Chapter(
      residual_training.EXPERIMENT,
      'Zhang 2019, De & Smith 2020, Bachlechner 2020: 1000 blocks in training',
      full=('--width=64', '--steps=1000', '--record_every=100'),
      text='Residual networks that start as the identity are trained without '
      'normalization at depths at which plain ones cannot be.',
    ),
    Chapter(
      coordinate_check.EXPERIMENT,
      'Yang 2022, figure 5: the coordinate check',
      full=('--width=64,128,256,512,1024,2048,4096',),
      text='In the first steps of training, units of a network in muP move by '
      'as much at any width; in standard parametrization the output explodes '
      'with the width.',
    ),
    Chapter(
      rate_transfer.EXPERIMENT,
      'Yang 2022, figure 1: the learning rate from narrow to wide',
      full=('--width=128,512,2048,8192', '--base_width=128'),
      text='The best learning rate of networks in muP does not depend on their '
      'width; in standard parametrization it falls as the width grows.',
    ),
    *transformer_chapters.CHAPTERS,
  ),
  full='at the size of the papers, for a GPU',
  marks=('reproduced', 'not reproduced', 'not tested'),
)

if __name__ == '__main__':
  launch.collect(COLLECTION)
