"""Encoded bytes to pixels of the size a network reads."""
