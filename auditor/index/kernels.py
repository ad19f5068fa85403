"""The numba kernels: UTF-8 bytes → tokens → passages, sketches, fingerprints, vectors.

One kernel walks the bytes of many documents once and yields their tokens; every other kernel works
on that token stream. Hashes are 64-bit throughout; integers wrap as C's do.
"""

import numpy as np
from numba import njit

from auditor.text.characters import IDEOGRAPH, NOTHING, SPACE, TABLE_SIZE, WORD

IS_WORD, SPACE_BEFORE, SENTENCE_START = 1, 2, 4
"""Bits of a token's flags."""

MIN_WORDS, MAX_WORDS = 80, 160
"""A passage ends at the first sentence end from MIN_WORDS on, and at MAX_WORDS if there is none."""

SHINGLE_WORDS = 5
"""Words in a shingle of MinHash (DESIGN §4)."""

FINGERPRINT_WORDS, WINDOW = 6, 7
"""Words in a fingerprint and hashes in a winnowing window: runs of 6 + 7 - 1 = 12 words are found
(Schleimer, Wilkerson and Aiken 2003, guarantee threshold t = w + k - 1)."""

_FNV_OFFSET = np.uint64(0xCBF29CE484222325)
_FNV_PRIME = np.uint64(0x100000001B3)
_APOSTROPHE, _RIGHT_QUOTE, _NEWLINE, _FULL_STOP = 0x27, 0x2019, 0x0A, 0x2E
_SHORT_WORD = 3
_NO_POSITION = np.int64(-1)


@njit(cache=True)
def mix64(value):
    """MurmurHash3's 64-bit finaliser: every input bit moves every output bit."""
    value = np.uint64(value)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


@njit(cache=True)
def mix32(value):
    """MurmurHash3's 32-bit finaliser, the pre-mix of datasketch's affine32 scheme.

    Numba widens 32-bit products to 64 bits, so each step is cut back.
    """
    value = np.uint32(value)
    value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
    value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
    return np.uint32(value ^ (value >> np.uint32(16)))


@njit(cache=True)
def decode(buffer, at):
    """Give the code point at a byte and its length in bytes; the buffer is valid UTF-8."""
    first = np.uint32(buffer[at])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return ((first & 0x1F) << 6) | (buffer[at + 1] & 0x3F), 2
    if first < 0xF0:
        middle = (np.uint32(buffer[at + 1] & 0x3F) << 6) | (buffer[at + 2] & 0x3F)
        return ((first & 0x0F) << 12) | middle, 3
    high = (np.uint32(buffer[at + 1] & 0x3F) << 12) | (np.uint32(buffer[at + 2] & 0x3F) << 6)
    return ((first & 0x07) << 18) | high | (buffer[at + 3] & 0x3F), 4


@njit(cache=True)
def classify(code, classes):
    """Give a code point's class; above the table only tags and selectors are nothing."""
    if code < TABLE_SIZE:
        return classes[code]
    return NOTHING if 0xE0000 <= code <= 0xE01EF else WORD


@njit(cache=True)
def tokenise(
    buffer, offsets, classes, folded, starts, ends, char_starts, char_ends, hashes, flags, counts
):
    """Cut documents into tokens; returns the number of tokens.

    buffer: (bytes,) uint8, valid UTF-8; offsets: (documents + 1,) int64. The token arrays must hold
    one entry a byte at worst; counts: (documents, 3) int64 gets tokens, words, characters.
    """
    n = 0
    for document in range(len(offsets) - 1):
        at, stop = offsets[document], offsets[document + 1]
        character = 0
        first_token, words = n, 0
        spaced, newlines = True, 0
        terminal, after_short = False, False
        while at < stop:
            code, length = decode(buffer, at)
            kind = classify(code, classes)
            if kind == SPACE:
                spaced = True
                newlines += code == _NEWLINE
                at += length
                character += 1
                continue
            if kind == NOTHING:
                at += length
                character += 1
                continue
            starts[n], char_starts[n] = at, character
            value = _FNV_OFFSET
            short_capital = False
            if kind == WORD:
                first_code, letters = code, 0
                while True:
                    if kind != NOTHING:
                        point = folded[code] if code < TABLE_SIZE else code
                        value = (value ^ np.uint64(point)) * _FNV_PRIME
                        letters += 1
                    at += length
                    character += 1
                    ends[n], char_ends[n] = at, character
                    if at >= stop:
                        break
                    code, length = decode(buffer, at)
                    kind = classify(code, classes)
                    if code in (_APOSTROPHE, _RIGHT_QUOTE) and at + length < stop:
                        following, _ = decode(buffer, at + length)
                        if classify(following, classes) == WORD:
                            kind = WORD
                    if kind != WORD and kind != NOTHING:
                        break
                upper = first_code < TABLE_SIZE and folded[first_code] != first_code
                short_capital = upper and letters <= _SHORT_WORD
                is_word = True
            else:
                value = (value ^ np.uint64(code)) * _FNV_PRIME
                at += length
                character += 1
                ends[n], char_ends[n] = at, character
                is_word = kind == IDEOGRAPH
            hashes[n] = mix64(value)
            start = (spaced and (newlines >= 2 or (terminal and not after_short))) or (
                terminal and is_word and kind == IDEOGRAPH
            )
            flags[n] = is_word * IS_WORD | spaced * SPACE_BEFORE | start * SENTENCE_START
            if is_word:
                terminal, after_short = False, short_capital
                words += 1
            elif (
                code == 0x21
                or code == 0x3F
                or code == 0x2026
                or code == 0x3002
                or code == 0xFF01
                or code == 0xFF1F
            ):
                terminal, after_short = True, False
            elif code == _FULL_STOP:
                terminal = True
            elif start or (spaced and terminal):
                terminal = False
            spaced, newlines = False, 0
            n += 1
        counts[document, 0] = n - first_token
        counts[document, 1] = words
        counts[document, 2] = character
    return n


@njit(cache=True)
def cut_passages(flags, token_offsets, out):
    """Cut each document's tokens into passages; returns their number.

    token_offsets: (documents + 1,) int64; out: (passages, 4) int64 gets document, first token, one
    past the last token, words. A passage starts where the one before it ended.
    """
    n = 0
    for document in range(len(token_offsets) - 1):
        first, stop = token_offsets[document], token_offsets[document + 1]
        begin, words, opened = first, 0, n
        for token in range(first, stop):
            flag = flags[token]
            full = words >= MAX_WORDS and flag & IS_WORD
            if full or (words >= MIN_WORDS and flag & SENTENCE_START):
                out[n, 0], out[n, 1], out[n, 2], out[n, 3] = document, begin, token, words
                n += 1
                begin, words = token, 0
            words += flag & IS_WORD
        if begin == stop:
            continue
        if n > opened and words + out[n - 1, 3] <= MAX_WORDS:
            out[n - 1, 2] = stop
            out[n - 1, 3] += words
        else:
            out[n, 0], out[n, 1], out[n, 2], out[n, 3] = document, begin, stop, words
            n += 1
    return n


@njit(cache=True)
def shingle_hashes(words, out):
    """Hash every run of SHINGLE_WORDS words to 32 bits; a shorter text is one shingle.

    words: (n,) uint64; out: (>= n,) uint32. Returns the number of shingles.
    """
    count = len(words)
    if count == 0:
        return 0
    width = min(count, SHINGLE_WORDS)
    for i in range(count - width + 1):
        value = _FNV_OFFSET
        for j in range(width):
            value = (value ^ words[i + j]) * _FNV_PRIME
        out[i] = np.uint32(mix64(value) >> np.uint64(32))
    return count - width + 1


@njit(cache=True)
def sketch(words, word_offsets, a, b, out):
    """MinHash every passage: minima of a*h+b mod 2^32 over its mixed shingle hashes.

    words: (n,) uint64 of all passages; word_offsets: (passages + 1,) int64; a, b: (permutations,)
    uint32; out: (passages, permutations) uint32. Equals datasketch's affine32 scheme.
    """
    longest = 1
    for p in range(len(word_offsets) - 1):
        longest = max(longest, word_offsets[p + 1] - word_offsets[p])
    shingles = np.empty(longest, np.uint32)
    for p in range(len(word_offsets) - 1):
        count = shingle_hashes(words[word_offsets[p] : word_offsets[p + 1]], shingles)
        row = out[p]
        row[:] = np.uint32(0xFFFFFFFF)
        for i in range(count):
            mixed = mix32(shingles[i])
            for j in range(len(a)):
                value = np.uint32(a[j] * mixed + b[j])
                row[j] = min(row[j], value)


@njit(cache=True)
def winnow(words, word_offsets, fingerprints, documents, positions):
    """Keep the least hash of every window of a document's 6-word hashes; returns how many.

    words: (n,) uint64; word_offsets: (documents + 1,) int64. The rightmost of equal minima is kept
    (Schleimer et al. 2003). A document with fewer hashes than a window keeps its least.
    """
    n = 0
    ring = np.empty(WINDOW, np.uint64)
    for document in range(len(word_offsets) - 1):
        first = word_offsets[document]
        hashes = word_offsets[document + 1] - first - FINGERPRINT_WORDS + 1
        chosen = _NO_POSITION
        for i in range(hashes):
            value = _FNV_OFFSET
            for j in range(FINGERPRINT_WORDS):
                value = (value ^ words[first + i + j]) * _FNV_PRIME
            ring[i % WINDOW] = mix64(value)
            if i < WINDOW - 1 and i < hashes - 1:
                continue
            best = i
            for back in range(1, min(WINDOW, i + 1)):
                if ring[(i - back) % WINDOW] < ring[best % WINDOW]:
                    best = i - back
            if best != chosen:
                chosen = best
                fingerprints[n] = np.uint32(ring[best % WINDOW] >> np.uint64(32))
                documents[n] = document
                positions[n] = best
                n += 1
    return n


@njit(cache=True)
def look_up(hashes, keys, values, size, new):
    """Number tokens by their hash, adding words that are not yet in the table.

    hashes: (n,) uint64; keys: (capacity,) uint64, zero where free, a power of two at least twice
    the words; values: (capacity,) int64; size: words in the table; new: (n,) int64 gets the token
    of each added word. Returns the (n,) numbers and how many words were added.
    """
    out = np.empty(len(hashes), np.int32)
    mask = np.uint64(len(keys) - 1)
    added = 0
    for i in range(len(hashes)):
        key = hashes[i] | np.uint64(1)
        slot = (key >> np.uint64(20)) & mask
        while keys[slot] != 0 and keys[slot] != key:
            slot = (slot + np.uint64(1)) & mask
        if keys[slot] == 0:
            keys[slot] = key
            values[slot] = size + added
            new[added] = i
            added += 1
        out[i] = values[slot]
    return out, added


@njit(cache=True)
def reinsert(old_keys, old_values, keys, values):
    """Move the entries of a word table into a larger, empty one."""
    mask = np.uint64(len(keys) - 1)
    for i in range(len(old_keys)):
        slot = (old_keys[i] >> np.uint64(20)) & mask
        while keys[slot] != 0:
            slot = (slot + np.uint64(1)) & mask
        keys[slot] = old_keys[i]
        values[slot] = old_values[i]


@njit(cache=True)
def sum_vectors(numbers, token_offsets, table, out):
    """Add up the vectors of each passage's tokens.

    numbers: (tokens,) int32; token_offsets: (passages, 2) int64; table: (words, d) float32; out:
    (passages, d) float32.
    """
    for p in range(len(token_offsets)):
        row = out[p]
        row[:] = 0
        for token in range(token_offsets[p, 0], token_offsets[p, 1]):
            vector = table[numbers[token]]
            for j in range(len(row)):
                row[j] += vector[j]
