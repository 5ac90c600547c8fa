"""Retrieval with local features: their store on disk, matching, geometry, and search by votes."""
