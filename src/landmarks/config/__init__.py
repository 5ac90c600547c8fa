"""How YAML becomes a checked configuration: where configs lie, what they may hold, who is asked for values."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
