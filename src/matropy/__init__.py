"""matropy: matrices, spectra and entropy.

See how a language model compresses information, layer by layer (:func:`evaluate`), and use published methods
around matrices, spectra and entropy as typed, tested parts. Rooms are imported lazily.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
