"""A world to try everything on: rendered landmarks in the layout of Google Landmarks v2."""
