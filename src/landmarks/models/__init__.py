"""Networks that embed images: backbones, pooling, the descriptor layer, and the files of trained models."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
