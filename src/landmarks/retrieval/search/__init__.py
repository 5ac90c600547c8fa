"""Nearest neighbours: exact search with its proofs, approximate kinds, and all pairs of a set."""
