"""Where images come from: the catalogue, published files, packs and folders."""
