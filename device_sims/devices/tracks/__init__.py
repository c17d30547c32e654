"""What families of tracks share: the strip with its edges and notches, gates, walls that pass a notch or do not."""
