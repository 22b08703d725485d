"""The experiments: each a frozen config and one function that runs it.

Import the one you want, e.g. `from metaact.experiments import maml`. The config modules import
without PyTorch, which keeps `metaact --help` fast.
"""
