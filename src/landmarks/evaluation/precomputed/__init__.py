"""Reads precomputed descriptors, whatever made them, with ids, labels and solutions: what an evaluation starts from."""
