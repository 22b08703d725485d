"""The built-in data sets, drawn from the fonts that matplotlib ships."""
