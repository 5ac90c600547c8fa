"""Evaluates descriptors that are given as files, whatever made them: read, check, search, re-rank, score, write."""
