"""Settings: each declared once, and the lists that users write."""

from __future__ import annotations


def cut(text: str, separator: str) -> list[str]:
    """Split at a separator outside brackets.

    Examples:
        >>> cut("relu,arelu(alpha=0.25,beta=1)", ",")
        ['relu', 'arelu(alpha=0.25,beta=1)']
    """
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def split_list(text: str) -> tuple[str, ...]:
    """The parts of a comma-separated list: stripped, in order, without empty ones and repeats.

    Examples:
        >>> split_list("relu, arelu(alpha=0.25,beta=1), ,relu")
        ('relu', 'arelu(alpha=0.25,beta=1)')
    """
    return tuple(dict.fromkeys(part.strip() for part in cut(text, ",") if part.strip()))
