"""Weights of other frameworks in, models for other programs out, and what a model says of single pictures."""
