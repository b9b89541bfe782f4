"""The zones of the sigmoid: almost a line near 0, almost flat far from it.

Where |s| <= LINEAR, sigmoid(s) is at most LINEAR_ERROR away from 1/2 + s/4;
where |s| > FLAT, its slope is at most FLAT_SLOPE, of 1/4 at 0. Both are the
values at the edges of the zones, rounded up.
"""

LINEAR, LINEAR_ERROR = 0.8, 0.0101
FLAT, FLAT_SLOPE = 4.0, 0.01767
