"""What families of junctions share: the layers of a junction, one moment, and its landscape of energy."""
