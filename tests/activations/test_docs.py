"""The page on activations says what the registry says."""

from __future__ import annotations

from pathlib import Path

from metaact.activations import Entry, entries

PAGE = Path(__file__).parents[2] / "docs" / "activations.md"


def row(entry: Entry) -> str:
    """The table row of an entry: change the page by this when the registry changes."""
    aliases = ", ".join(f"`{alias}`" for alias in entry.aliases)
    cells = (
        f"`{entry.name}`",
        entry.title,
        entry.formula,
        entry.start,
        str(entry.learnable),
        entry.kind,
        entry.citation,
        aliases,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def test_the_table_of_the_page_is_the_registry() -> None:
    section = PAGE.read_text(encoding="utf-8").split("\n## ")[1]
    assert section.startswith("All of them\n")
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    assert rows == [row(entry) for entry in entries()]
