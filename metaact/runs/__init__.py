"""Run directories: identity, checkpoint, resume, reading back.

A run is one arm with one seed. Its directory is named by a hash over every field of its config;
`result.json` is written last and atomically, so its presence means that the run is complete.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
