"""mAP@100, GAP and related metrics; the official solution and submission files.

The torchmetrics classes in `landmarks.metrics.streaming` are loaded on demand, so that scoring a file does not import
torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
