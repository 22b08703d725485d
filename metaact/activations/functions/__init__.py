"""The activation functions, one a file."""
