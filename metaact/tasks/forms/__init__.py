"""Size and channels of images: steps that change them, and which steps a network needs."""
