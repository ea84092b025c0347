"""Texts to vectors: checkpoints, how a model family takes an Instruction, and running the network."""
