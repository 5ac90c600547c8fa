"""What the descriptors are trained with, one loss a file."""
