"""Episodes drawn from a split, fresh ones and frozen ones, as meta-batches."""
