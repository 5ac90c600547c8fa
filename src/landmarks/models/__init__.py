"""From an image to its descriptor: backbones, pooling, the descriptor layer and their weights."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
