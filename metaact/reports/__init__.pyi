from . import pictures as pictures
from .answer import answer as answer
from .compare import Options as Options
from .compare import compare as compare
from .document import ArmReport as ArmReport
from .document import Document as Document
from .document import StudyReport as StudyReport
from .gather import Evidence as Evidence
from .gather import gather as gather
from .render import page as page
from .render import text as text

__all__ = [
    "ArmReport",
    "Document",
    "Evidence",
    "Options",
    "StudyReport",
    "answer",
    "compare",
    "gather",
    "page",
    "pictures",
    "text",
]
