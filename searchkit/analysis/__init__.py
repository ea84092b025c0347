"""What a Collection looks like as a whole: which of its passages belong together."""
