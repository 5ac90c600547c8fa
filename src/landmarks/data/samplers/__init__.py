"""Which pictures make a batch, as functions of (seed, epoch) alone."""
