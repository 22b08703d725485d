"""Activations: the paper's nineteen, ELSA, the controls and the user's own, by name."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
