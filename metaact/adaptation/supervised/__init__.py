"""Supervised training: optimizers, one trainer, and several networks side by side."""
