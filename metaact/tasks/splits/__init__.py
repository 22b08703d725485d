"""Verified train, validation and test parts of a data set."""
