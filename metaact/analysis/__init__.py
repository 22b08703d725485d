"""Intervals, paired comparisons, curves, tables and figures: NumPy, SciPy, Matplotlib, no torch."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
