"""Which characters the glyphs are: a fixed list, so that a class means the same everywhere.

How it was chosen: letters (Unicode categories Lu, Ll, Lo) of the scripts below that an upright or
slanted face of regular weight has, without ligatures of a compatibility block and without
precomposed accents. They were gone through in this order: the basic letters of Latin, Greek and
Cyrillic; the other scripts in the order below; the rest of Latin and Cyrillic. A letter was left
out when in any face it looks like a letter kept before, of whichever script: the correlation of
their bitmaps, scaled to the same box and blurred by 0.8 of a picture's pixel, is 0.9 or more. So
Latin A, Greek Alpha and Cyrillic A are one class, as are C and c, and no class can be on both sides
of a split. `tests/tasks/builtin/test_glyph_table.py` repeats the choice.
"""

from __future__ import annotations

# Ranges of Unicode code points, in hexadecimal.
_RANGES = {
    "latin": (  # 175
        "41-45 47-4E 50-5A 61-62 64-67 6B 6D-6F 72 74 79 C6 DF E6 F8 127 152 187 18B 191 "
        "194-195 19D 1A2-1A3 1A6-1A7 1AB 1B2-1B3 1B7-1B8 1BA-1BB 1BE 1C1 1DD 1F6 21C 221-222 "
        "224 234-235 238-239 23B 23E-242 246-247 249-24A 255 257-258 25A 25D 260 264 26E "
        "271-272 27B 281 287 289 28D-28E 290-291 294-295 297 29E 2A3-2A4 2A6-2AD 1D11-1D13 "
        "1D16-1D17 1D19-1D1A 1D1D-1D1E 1D24-1D25 1D7C 1D7E-1D7F 1D81 1D84 1D8A 1D8D-1D8E 1E9E "
        "1EFA 2C62 2C64-2C65 2C68 2C6A 2C71-2C72 2C74 A722 A724 A726 A728-A729 A72C A72E A730 "
        "A734 A736-A739 A73C-A73D A74E A752-A753 A768 A77B A782 A786 A78E A790 A7A0 A7A5-A7A7 "
        "A7AA A7FB A7FD A7FF"
    ),
    "greek": (  # 43
        "370 372 376 394 39E 3A3 3A6 3A8-3A9 3B1-3B2 3B4-3B8 3BA-3BE 3C1-3C2 3C7 3C9 3CF 3D7 "
        "3D9-3DA 3DE-3E0 3E2 3E4 3E6-3E8 3EB-3EC 3EE 3F7-3F8 3FA"
    ),
    "cyrillic": (  # 84
        "402 409-40B 414 416-417 41B 426-42B 42D-42F 44C 463-464 466 468 46A 46C 46E 470 "
        "478-479 47C 47E 48A 490 494 496 498 49B 4A0 4A4 4A6 4A8 4AC 4B2 4B5-4B6 4B8 4BA 4BC "
        "4BE 4C3 4C5 4CA 4CD 4F6 4FA-4FB 4FD 4FF 501-506 509 50E-50F 513-514 516-519 520 522 "
        "524 A64C A651 A654 A656-A657 A662 A664 A666 A66E"
    ),
    "armenian": (  # 38
        "533-539 53B 53D-541 543-544 546-547 54A 54C 54E 550 552 554 556 567 569 56D 56F 571 "
        "573 576 579-57B 57E 583-584 586"
    ),
    "georgian": (  # 74
        "10A0-10A1 10A3 10A5 10A7-10AC 10B0-10B2 10B4-10B5 10B8 10BC-10C1 10C3-10C5 10D0 "
        "10D3-10D4 10D6 10D9-10DA 10DD 10DF-10E0 10E2-10E5 10E8 10EA 10EC-10ED 10EF-10F1 "
        "10F3-10F5 10F7-10F9 2D00-2D03 2D05-2D06 2D08 2D0C 2D0F-2D10 2D12-2D13 2D15 2D17-2D19 "
        "2D1C-2D1D 2D1F 2D21-2D22 2D24-2D25"
    ),
    "hebrew": (  # 21
        "5D0-5D4 5D6 5DA-5DC 5DE 5E2-5EA 5F0 5F2"
    ),
    "arabic": (  # 69
        "621 628-62C 62E-637 639-63A 641-64A 66E-66F 679 67C 681 688-689 68B 68F 691-695 69A "
        "69E 6A0-6A2 6A4-6A5 6A8-6AA 6AD-6AF 6B2-6B5 6B8-6BA 6BD-6BE 6C6 6C8 6CE 6D0 FE73"
    ),
    "nko": (  # 23
        "7CC-7DB 7DD-7DF 7E2-7E5"
    ),
    "lao": (  # 33
        "E81-E82 E84 E87-E88 E8A E8D E94-E97 E99-E9E EA1 EA3 EA5 EA7 EAA-EAB EAE-EB0 EB2 EBD "
        "EC0-EC4"
    ),
    "tifinagh": (  # 35
        "2D30-2D33 2D3A-2D3F 2D41-2D44 2D46-2D48 2D4B-2D4C 2D4E 2D50 2D52-2D58 2D5A-2D5C 2D5E "
        "2D62-2D64"
    ),
    "canadian-syllabics": (  # 293
        "1401-1402 1404-1406 140A-140C 140F 1411-1415 1417-141A 141D 141F-1423 1425 1428 "
        "142B-142C 142E 1433-1434 1438-143A 143C 143E 1441-1447 144D 144F 1451 1456-1457 "
        "1459-1465 146B-146C 146E-1471 1473-147C 147E-1482 1489-148A 148C 1490-14A0 14A7-14A9 "
        "14AB-14AF 14B1 14B3 14B6-14BA 14BC 14C0-14C5 14C7-14CB 14CD 14D3-14D8 14DA-14DE 14E0 "
        "14E2-14E9 14EC-14FA 14FC 14FF-1500 1502-1504 1510-1524 1526-1537 1539-153D 1542-154F "
        "1552-155C 155E-1561 1564 1566 1574-1578 157B 157E-1585 158A-1596 15A0 15A2-15A5 "
        "15A7-15AA 15AC 15E1 1647 166F-1676"
    ),
    "old-italic": (  # 17
        "10302 10304 1030A-1030E 10310 10312 10314-10316 10318-1031B 1031D"
    ),
    "ogham": (  # 23
        "1681-168F 1691-1693 1695-1698 169A"
    ),
    "fraktur": (  # 43
        "210C 2111 211C 2128 212D 1D504-1D505 1D507 1D509-1D50A 1D50D-1D514 1D516-1D518 "
        "1D51A-1D51C 1D51E-1D520 1D522 1D524-1D526 1D528 1D52C-1D530 1D532-1D537"
    ),
    "script": (  # 48
        "210A-210B 2110 2112-2113 211B 212C 2130-2131 2133 1D49C 1D49E-1D49F 1D4A2 1D4A5-1D4A6 "
        "1D4A9-1D4AB 1D4AE-1D4B9 1D4BB 1D4BD-1D4BF 1D4C2-1D4C3 1D4C5-1D4CF"
    ),
}


def _expand(ranges: str) -> str:
    ends = [[int(end, 16) for end in part.split("-")] for part in ranges.split()]
    return "".join(chr(code) for end in ends for code in range(end[0], end[-1] + 1))


CHARACTERS: dict[str, str] = {script: _expand(ranges) for script, ranges in _RANGES.items()}
"""The letters of each script."""

GLYPH_SPLIT: dict[str, tuple[str, ...]] = {
    "train": ("latin", "arabic", "lao", "canadian-syllabics", "fraktur"),
    "validation": ("greek", "armenian", "old-italic", "script"),
    "test": ("cyrillic", "georgian", "hebrew", "nko", "tifinagh", "ogham"),
}
"""Whole scripts for each part: 613, 146 and 260 classes."""
