"""Anybody's own photographs, a folder a landmark."""
