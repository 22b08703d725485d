"""Run directories into verdicts and pages; nothing here needs torch.

`gather` reads the runs and says what it left out, `compare` turns them into one document of
intervals, comparisons and verdicts, and the document is printed as a table or drawn as a page.
"""

from .comparison import Options as Options
from .comparison import compare as compare
from .evidence import Arm as Arm
from .evidence import Evidence as Evidence
from .evidence import LeftOut as LeftOut
from .evidence import Study as Study
from .evidence import gather as gather
from .page import page as page
from .records import Record as Record
from .text import comma_separated as comma_separated
from .text import latex as latex
from .text import markdown as markdown
from .text import plain as plain
