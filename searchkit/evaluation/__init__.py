"""How well a model with its Instructions does what it is for, measured as its field measures it."""
