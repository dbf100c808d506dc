"""Figures of the paper that the study sets its own beside, read off its plots to about 0.02."""

from __future__ import annotations

MNIST_REDUNDANCY = {10: (0.99, 0.97), 20: (0.76, 0.54), 40: (0.10, 0.04), 60: (0.02, 0.01), 100: (0.0, 0.0)}
"""Redundancy of training and test images by the width of the hidden layer."""

MNIST_KNN = {10: 0.50, 20: 0.74, 40: 0.89, 60: 0.93, 100: 0.95}
"""Accuracy of nine nearest neighbours on the codes of test images."""

MEASURED_EARLIER = {
    10: (0.963, 0.937, 0.588),
    20: (0.412, 0.319, 0.767),
    40: (0.039, 0.030, 0.865),
    60: (0.0040, 0.0025, 0.897),
    100: (0.0002, 0.0001, 0.910),
}
"""Redundancy of training and test images and accuracy of nine nearest neighbours in an earlier program of ours."""
