"""What a problem file can ask for beside the means: textures of m, as columns of the table."""
