"""The names by which ways of adapting are chosen; read by configs, which import no torch."""

OPTIMIZERS = ("sgd", "adam")
"""Optimizers of supervised training."""

DECAYS = ("all", "weights")
"""What weight decay applies to: everything, or all but the activations."""

ENGINES = ("vectorised", "loop", "learn2learn")
"""How the tasks of a meta-batch are adapted."""
