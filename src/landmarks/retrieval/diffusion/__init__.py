"""Diffusion: similarity that spreads along a neighbourhood graph of the index, not only directly from the query.

Iscen et al., "Efficient Diffusion on Region Manifolds", CVPR 2017; Yang et al., "Efficient Image Retrieval via
Decoupling Diffusion into Online and Offline Processing", AAAI 2019.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
