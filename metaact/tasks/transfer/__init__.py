"""Pairs of domains: pre-train on a source, fine-tune on a target."""
