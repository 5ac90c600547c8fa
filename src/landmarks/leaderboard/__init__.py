"""Published figures beside those measured here, and how the missing ones are made."""
