"""Spectra: singular values and their norms, and the Gram matrix that streams and merges."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
