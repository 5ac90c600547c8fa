"""Files over HTTP: fetched in pieces, verified, and gone on with after any interruption."""
