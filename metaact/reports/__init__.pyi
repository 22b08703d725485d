from . import pictures as pictures
from ._answer import answer as answer
from ._compare import Options as Options
from ._compare import compare as compare
from ._frame import frame as frame
from ._gather import Evidence as Evidence
from ._gather import gather as gather
from .document import ArmReport as ArmReport
from .document import Document as Document
from .document import StudyReport as StudyReport
from .exports._export import export as export
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
    "export",
    "frame",
    "gather",
    "note_looks",
    "page",
    "pictures",
    "text",
]
