"""The command line: click commands, nothing else. Importing it does not import PyTorch."""

from .main import cli as cli
from .main import main as main
