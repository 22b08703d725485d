"""Run directories into verdicts and pages; nothing here needs torch.

`gather` reads the runs and says what it left out, `compare` turns them into one document of
intervals, comparisons and verdicts, `answer` does both for runs that were just made. The document
is printed as tables or drawn as a page.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
