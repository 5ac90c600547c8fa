"""From neighbours to landmarks: votes and their confidence."""
