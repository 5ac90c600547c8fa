"""Descriptor sets on disk: what made them, writing, joining, whitening, and sets of regions."""
