"""Local features: points of a picture that can be found again in another one, and what describes them."""
