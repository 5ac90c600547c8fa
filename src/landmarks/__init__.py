"""Experiments in landmark retrieval and recognition: train, search, re-rank, score."""

__version__ = "0.1.0"
