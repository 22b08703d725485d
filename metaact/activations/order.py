"""The canonical names of all activations, in the order of their table. No torch.

Reports are read without torch, and order the arms of a store by it; a test compares it with the
table itself.
"""

from __future__ import annotations

import re

PAPER_ORDER = (
    *("celu", "elu", "gelu", "lrelu", "maxout", "relu", "relu6", "rrelu", "selu", "sigmoid"),
    *("softplus", "swish", "tanh", "apl", "comb", "pau", "prelu", "slaf", "arelu"),
)
"""The paper's nineteen, in the order of its table 1."""

ORDER = (
    *PAPER_ORDER,
    *("crelu", "swish-beta", "squared-relu", "telu", "fourier", "xielu", "golu"),
    *("smooth-leaky", "random-smooth-leaky"),
    *("gelu-paper", "maxout-paper", "pau-paper", "slaf-paper"),
    *("arelu-frozen", "leakyrelu-scaled", "relu-gain", "arelu-unit"),
)
"""All names of the table."""


def place(name: str) -> tuple[int, str]:
    """Where an arm stands among others: by its base in the table, then by name; others come last.

    Examples:
        >>> sorted(["my:Act", "relu+elsa", "arelu(alpha=0.5)", "arelu", "relu"], key=place)
        ['relu', 'relu+elsa', 'arelu', 'arelu(alpha=0.5)', 'my:Act']
    """
    base = re.split(r"[+(]", name)[0]
    return (ORDER.index(base) if base in ORDER else len(ORDER), name)
