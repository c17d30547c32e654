"""What data sets of the user's have in common: files become samples in 0 to 1 with classes, once, and are kept."""
