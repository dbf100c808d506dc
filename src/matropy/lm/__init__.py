"""Language models: loading them, texts for them, and the stream of their hidden states."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
