"""Files over HTTP: fetched in pieces, verified, and resumed after any interruption."""
