"""Configuration: finds and composes YAML files, checks them, and keeps the records and folders of runs."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
