"""What a whole Collection says of itself, by its stored vectors."""
