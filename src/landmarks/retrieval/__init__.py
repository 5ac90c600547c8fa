"""Descriptors on disk, search, expansion, and the pipelines that put them in order."""
