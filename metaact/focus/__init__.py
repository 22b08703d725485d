"""Where trained networks look: Grad-CAM, maps before and after activations, measures of focus.

Attributes are loaded on first use. What this door offers is listed in `__init__.pyi`.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
