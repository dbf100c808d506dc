"""The lead job: a model and a corpus in, an evaluation layer by layer out."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
