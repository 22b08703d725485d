"""Images with masks: volumes of patients, and which patients train, validate and test."""
