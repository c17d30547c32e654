"""What is said and known of the layers of a junction, whatever writes it."""
