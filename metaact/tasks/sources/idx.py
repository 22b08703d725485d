"""The IDX files of MNIST and its relatives, plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaact.errors import DataError, reason_of

# MD5 of MNIST's four files as unpacked; torchvision pins those of the archives they come in.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_UBYTE = 8  # the code of unsigned bytes in the third byte of the header


def read_idx(path: Path, *, md5: str | None = None) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Args:
        path: The file; where it is missing, `path` with `.gz` added is read.
        md5: What the unpacked content must hash to, if known.

    Returns:
        The array, in the shape the header states.

    Raises:
        DataError: If it is missing, truncated, of another kind, or not what `md5` says.
    """
    packed = path.with_name(f"{path.name}.gz")
    file = path if path.exists() or not packed.exists() else packed
    try:
        content = file.read_bytes() if file == path else gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"{file} cannot be read ({reason_of(error)}); delete it to fetch it again."
        ) from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UBYTE:
        raise DataError(f"{file} is not an IDX file of bytes; delete it to fetch it again.")
    header = 4 + 4 * content[3]
    shape = tuple(int(n) for n in np.frombuffer(content[4:header], dtype=">u4"))
    expected = header + int(np.prod(shape, dtype=np.int64))
    if len(content) != expected:
        raise DataError(
            f"{file} must be {expected} bytes long for its shape {list(shape)}; got "
            f"{len(content)} (truncated?). Delete it to fetch it again."
        )
    if md5 is not None and hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DataError(f"{file} does not have the published MD5 {md5}; delete it to fetch again.")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape).copy()
