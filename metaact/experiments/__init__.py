"""The experiments: each a folder with its config, its measure and what computes its runs."""
