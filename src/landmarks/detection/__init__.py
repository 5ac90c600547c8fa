"""Trains, evaluates and uses a detector of objects."""
