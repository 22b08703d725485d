"""The names by which ways of adapting are chosen; read by configs, which import no torch."""

OPTIMIZERS = ("sgd", "adam")
"""Optimizers of supervised training."""

DECAYS = ("all", "weights")
"""What weight decay applies to: everything, or all but the activations."""

SCHEDULES = ("constant", "step", "cosine")
"""How the learning rate changes over a run."""

AUGMENTATIONS = ("none", "crop-flip", "scale-turn-flip")
"""How training images are changed anew in every epoch."""

NORMALISATIONS = ("none", "fitted", "published")
"""Where mean and deviation of each channel come from."""

PRECISIONS = ("float32", "bfloat16")
"""In what a network computes in training."""

ENGINES = ("vectorised", "loop", "learn2learn")
"""How the tasks of a meta-batch are adapted."""
