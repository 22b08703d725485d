"""Streams of tasks: examples in an order, whose target or inputs change along the way."""
