"""Replacing the activations of a network: where they are, and what is put there."""
