"""Images and labels: tables, sources, stores, samplers, decoding and augmentation."""

import os

import lazy_loader

# albumentations asks a server for its newest version when it is imported; a cluster node must not wait for that.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
