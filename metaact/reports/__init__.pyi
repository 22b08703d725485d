from . import pictures as pictures
from ._answer import answer as answer
from ._compare import Options as Options
from ._compare import compare as compare
from ._gather import Evidence as Evidence
from ._gather import gather as gather
from .document import ArmReport as ArmReport
from .document import Document as Document
from .document import StudyReport as StudyReport
from .plans import note_looks as note_looks
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
    "note_looks",
    "page",
    "pictures",
    "text",
]
