"""Where the bytes of pictures are: official tars, an extracted tree, files with any names."""
