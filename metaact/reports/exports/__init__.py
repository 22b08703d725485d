"""Finished runs for other programs: TensorBoard, trackio, and anything that reads CSV."""
