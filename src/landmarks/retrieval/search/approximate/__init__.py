"""Approximate search: finds most of the nearest images in a fraction of the time, and scores what it finds exactly."""
