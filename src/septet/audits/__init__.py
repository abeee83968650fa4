"""What was learned, and where an output came from."""
