"""Stages of retrieval: each takes the state of a search with its ranking and gives the next one."""
