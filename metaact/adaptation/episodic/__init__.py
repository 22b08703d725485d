"""Adapting to one task at a time: MAML, its engines and what they share."""
