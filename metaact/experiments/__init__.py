"""The experiments: each a folder with its config, its measure and what computes its runs.

A config names the settings of one run, `run` does what a store does not hold yet, and
`metaact.reports.answer` makes one document of it: what the commands do, too.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
