"""What a model says of single pictures: the three released inference programs, from the command line and from code."""
