"""What a network costs on a chip: energy, time and area, from the counts of a run and published numbers of circuits."""
