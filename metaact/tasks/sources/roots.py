"""Where data sets lie on this machine."""

from __future__ import annotations

import os
import stat
from pathlib import Path

VARIABLE = "METAACT_DATA"


def data_root(root: Path | str | None = None) -> Path:
    """The folder that holds the data sets; it need not exist yet.

    Args:
        root: An explicit folder, which wins; else the environment variable METAACT_DATA, else
            the platform's cache folder of this user.

    Examples:
        >>> data_root("somewhere")
        PosixPath('somewhere')
    """
    chosen = root if root is not None else os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs  # not needed where somebody says where they lie

    return platformdirs.user_cache_path("metaact") / "data"


def is_writable(folder: Path) -> bool:
    """Whether files may be added to `folder`; a folder that does not exist yet counts as one.

    The mode bits are read besides asking the system, because root may write anywhere and must
    still leave a folder alone whose owner has closed it.
    """
    if not folder.exists():
        return True
    closed = not folder.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH)
    return not closed and os.access(folder, os.W_OK)
