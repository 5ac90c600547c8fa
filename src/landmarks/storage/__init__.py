"""Files that are whole or not there, and what the rest of the project keeps in them."""
