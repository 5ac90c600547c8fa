"""Runs: the Lightning module, its callbacks, evaluation, and what a run folder holds."""
