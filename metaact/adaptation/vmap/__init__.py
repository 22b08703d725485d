"""Convolution and pooling over many tasks at a time, as matrix products under `vmap`."""
