"""What a detector found, on disk and in memory, and where it looked."""
