"""Training encoders to follow Instructions: rows, losses, the loop, the folder that comes of it."""
