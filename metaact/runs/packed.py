"""Many yes-or-no answers as one short text in a record: which test images were right."""

from __future__ import annotations

import base64
import binascii

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaact.errors import RunError


def pack_bits(answers: ArrayLike) -> str:
    """Eight answers a byte, as base64: 10,000 images take 1.7 kB.

    Args:
        answers: Booleans [n].

    Examples:
        >>> pack_bits([True, False, True])
        'oA=='
    """
    return base64.b64encode(np.packbits(np.asarray(answers, dtype=bool)).tobytes()).decode("ascii")


def unpack_bits(text: str, count: int) -> NDArray[np.bool_]:
    """What `pack_bits` was given.

    Args:
        text: The packed answers.
        count: Their number, which the last byte does not tell.

    Returns:
        Booleans [count].

    Raises:
        RunError: If the text does not hold that many.

    Examples:
        >>> unpack_bits("oA==", 3).tolist()
        [True, False, True]
    """
    try:
        packed = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except binascii.Error as error:
        raise RunError(f"packed answers are damaged ({error}).") from error
    if len(packed) != -(-count // 8):
        raise RunError(f"packed answers must hold {count}; got {len(packed)} bytes.")
    return np.unpackbits(packed, count=count).astype(bool)
