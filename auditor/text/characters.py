"""What each Unicode character is to the tokeniser: space, word, punctuation, ideograph or nothing.

The classes are those of BERT's basic tokeniser, so that its word pieces never cross one of our
tokens; lower-casing and accent stripping are folded into one table of 32-bit code points.
"""

import unicodedata
from functools import lru_cache

import numpy as np
import numpy.typing as npt

SPACE, WORD, PUNCTUATION, IDEOGRAPH, NOTHING = range(5)

TABLE_SIZE = 0x30000
"""Code points above this are unassigned, or tags and variation selectors: words and nothing."""

_IDEOGRAPHS = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
"""The blocks that BERT's tokeniser splits character by character (tokenizers, BertNormalizer)."""

_APOSTROPHES = (0x27, 0x2019)
_ASCII_PUNCTUATION = (*range(33, 48), *range(58, 65), *range(91, 97), *range(123, 127))


@lru_cache(maxsize=1)
def character_tables() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint32]]:
    """Give (class, folded code point) of every character; shapes (TABLE_SIZE,), (TABLE_SIZE,)."""
    classes = np.full(TABLE_SIZE, WORD, np.uint8)
    folded = np.arange(TABLE_SIZE, dtype=np.uint32)
    for code in range(TABLE_SIZE):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Lo" or category == "Cn":
            continue
        classes[code] = _CLASS_OF_CATEGORY.get(category, WORD)
        if category[0] == "L":
            folded[code] = _fold(character)
    classes[list(_ASCII_PUNCTUATION)] = PUNCTUATION
    classes[[0x09, 0x0A, 0x0D]] = SPACE
    classes[[0x00, 0xFFFD]] = NOTHING
    for first, last in _IDEOGRAPHS:
        classes[first : min(last + 1, TABLE_SIZE)] = IDEOGRAPH
    folded[list(_APOSTROPHES)] = 0x27
    return classes, folded


def _fold(character: str) -> int:
    """Lower-case, then drop the combining marks: É → e."""
    return ord(unicodedata.normalize("NFD", character.lower())[0])


_CLASS_OF_CATEGORY = {
    **dict.fromkeys(("Zs", "Zl", "Zp"), SPACE),
    **dict.fromkeys(("Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"), PUNCTUATION),
    **dict.fromkeys(("Cc", "Cf", "Mn"), NOTHING),
}
