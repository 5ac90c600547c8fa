"""Evaluation: from descriptors and ground truth to metrics, an ablation table, submissions and sample images."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
