"""Files as everything here writes and reads them."""
