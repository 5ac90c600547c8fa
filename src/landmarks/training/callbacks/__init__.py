"""What happens around the training loop, one concern a file."""
