"""Google Landmarks v2: its files, its tables, and the splits made of them."""
