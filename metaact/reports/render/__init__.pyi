from . import text as text
from ._page import page as page

__all__ = ["page", "text"]
