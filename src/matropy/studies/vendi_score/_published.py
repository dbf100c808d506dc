"""Figures of the authors that the study sets its own beside."""

from __future__ import annotations

GENERATORS = (
    ("AAE", 501.05, 0.8592),
    ("char-RNN", 482.44, 0.8563),
    ("combinatorial", 536.89, 0.8729),
    ("HMM", 250.89, 0.8707),
    ("JTN-VAE", 489.54, 0.8556),
    ("latent GAN", 486.40, 0.8569),
    ("n-gram", 479.80, 0.8736),
    ("VAE", 475.28, 0.8562),
)
"""Vendi score and internal diversity of 1500 molecules of each generator, from the authors' molecule notebook."""

DIGITS = (7.68, 5.31, 12.18, 9.97, 11.10, 13.51, 9.06, 9.58, 9.69, 8.56)
"""Vendi scores of the MNIST test digits 0 to 9, cosine of pixels resized to 32 x 32, from the authors' README."""
