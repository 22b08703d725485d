"""The document for readers: plain text, JSON, CSV, LaTeX, Markdown, and one HTML page."""
