"""What makes two runs the same: a hash over every field of the config."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from metaact.errors import UsageError

from .strict_json import canonical, plain

SHORT = 10  # hex digits in a directory's name: 40 bits, so 10,000 runs clash with chance 5e-5


def identity(kind: str, config: Mapping[str, object]) -> str:
    """Hash the kind of experiment and every field of its config.

    Formula: SHA-256 of the canonical JSON of `{"config": config, "kind": kind}` (sorted keys, no
    blanks). The order of keys does not matter; 1 and 1.0 differ. Leave out what must not change
    a result: the device, paths, the number of threads.

    Args:
        kind: Kind of experiment ("maml").
        config: Strict JSON, the seed included.

    Returns:
        64 hex digits.

    Raises:
        UsageError: If the config is not strict JSON.

    Examples:
        >>> identity("maml", {"seed": 0, "ways": 5})[:10]
        '849f96de85'
        >>> identity("maml", {"ways": 5, "seed": 0})[:10]
        '849f96de85'
    """
    return hashlib.sha256(canonical({"kind": kind, "config": plain(config, "config")})).hexdigest()


def check_kind(kind: str) -> str:
    """Return `kind` if it can be a folder's name.

    Raises:
        UsageError: If it is not lower-case letters, digits and hyphens.
    """
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", kind):
        return kind
    raise UsageError(
        f"`kind` must be lower-case letters, digits and hyphens (it names a folder); got {kind!r}."
    )


def folder_name(name: str, digest: str) -> str:
    """A readable directory name: what of `name` every file system takes, and the hash.

    Examples:
        >>> folder_name("my.module:Act seed 0", "ab" * 32)
        'my.module-Act-seed-0-ababababab'
    """
    readable = re.sub(r"[^A-Za-z0-9._+=-]+", "-", name).strip("-.")[:80]
    return f"{readable or 'run'}-{digest[:SHORT]}"
