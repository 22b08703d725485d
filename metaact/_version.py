"""The version, in a file of its own so that the lazy front door can list it."""

__version__ = "0.1.0"
"""As in pyproject.toml."""
