"""From descriptors and ground truth to a result: metrics, ablation, submissions and images to look at."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
