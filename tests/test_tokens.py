"""Promises about tokens and passages: offsets into the original text, and nothing left behind."""

import unicodedata

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.index import kernels
from auditor.index.tokens import Tokens, tokenise
from auditor.text.characters import NOTHING, SPACE, TABLE_SIZE, character_tables

UNICODE = st.text(st.characters(codec="utf-8"), max_size=80)
ODD_WORDS = (
    "word",
    "Ærø",
    "naïve",
    "don’t",
    "東京",
    "😀",
    "👩\u200d👧",
    "e\u0301",
    "1904",
    "a" * 40,
)
BETWEEN = ("“Oh!”", "—", ".", "?", "。", " ", "\n\n", "\0", "\u200b", "\ufeff", "Mr.")
MIXED = st.lists(st.sampled_from((*ODD_WORDS, *BETWEEN)), max_size=60).map("".join)
PROSE = st.lists(
    st.sampled_from(["bread", "Bread", "cat.", "dog!", "owl?", "oak,", "Mr.", "elm\n\n", "日本。"]),
    min_size=1,
    max_size=700,
).map(" ".join)


def cut(texts: list[str]) -> tuple[Tokens, npt.NDArray[np.int64]]:
    """Passages as rows of document, first token, one past the last, words."""
    tokens = tokenise(texts)
    out = np.empty((len(tokens.flags) + len(texts), 4), np.int64)
    return tokens, out[: kernels.cut_passages(tokens.flags, tokens.document_offsets, out)]


def spans(text: str) -> list[tuple[int, int]]:
    """First and last character of each passage of one document."""
    tokens, rows = cut([text])
    return [
        (int(tokens.char_starts[first]), int(tokens.char_ends[last - 1]))
        for _, first, last, _ in rows
    ]


def words(text: str) -> list[str]:
    tokens = tokenise([text])
    return [tokens.token_text(int(i)) for i in np.flatnonzero(tokens.is_word)]


def sentences(text: str) -> list[str]:
    """The first word of every sentence after the first."""
    tokens = tokenise([text])
    starts = np.flatnonzero(tokens.flags & kernels.SENTENCE_START)
    return [tokens.token_text(int(i)) for i in starts]


def prints(character: str) -> bool:
    """Whether a character is neither space nor one of those that BERT's tokeniser removes."""
    classes, _ = character_tables()
    code = ord(character)
    if code >= TABLE_SIZE:
        return not 0xE0000 <= code <= 0xE01EF
    return classes[code] not in (SPACE, NOTHING)


@given(st.lists(UNICODE | MIXED, min_size=1, max_size=4))
@settings(deadline=None, max_examples=150)
def test_every_token_is_the_text_at_its_character_offsets(texts: list[str]) -> None:
    tokens = tokenise(texts)
    for document, text in enumerate(texts):
        for i in range(*tokens.document_offsets[document : document + 2]):
            assert text[tokens.char_starts[i] : tokens.char_ends[i]] == tokens.token_text(i)


@given(st.lists(PROSE | MIXED, min_size=1, max_size=3))
@settings(deadline=None, max_examples=60)
def test_every_passage_is_the_text_at_its_character_offsets(texts: list[str]) -> None:
    tokens, rows = cut(texts)
    for document, first, last, _ in rows:
        start, end = tokens.char_starts[first], tokens.char_ends[last - 1]
        stored = tokens.buffer[tokens.starts[first] : tokens.ends[last - 1]].decode()
        assert texts[document][start:end] == stored


@given(PROSE | MIXED | UNICODE)
@settings(deadline=None, max_examples=150)
def test_splitting_then_joining_loses_no_character_that_prints(text: str) -> None:
    kept, at = "", 0
    for start, end in spans(text):
        assert start >= at
        kept, at = kept + text[start:end], end
    assert list(filter(prints, kept)) == list(filter(prints, text))


@given(PROSE | MIXED | UNICODE)
@settings(deadline=None, max_examples=150)
def test_tokens_and_the_characters_between_them_are_the_whole_text(text: str) -> None:
    tokens = tokenise([text])
    between = [0, *tokens.char_ends.tolist()], [*tokens.char_starts.tolist(), len(text)]
    gaps = "".join(text[a:b] for a, b in zip(*between, strict=True))
    assert not list(filter(prints, gaps))
    assert int(tokens.n_chars[0]) == len(text)


@given(st.lists(PROSE, min_size=1, max_size=3))
@settings(deadline=None, max_examples=80)
def test_a_passage_has_80_to_160_words_except_the_last_of_its_document(texts: list[str]) -> None:
    _, rows = cut(texts)
    for row, (document, _, _, count) in enumerate(rows):
        last = row + 1 == len(rows) or rows[row + 1][0] != document
        assert count <= 160
        assert count >= 80 or last


@given(st.lists(PROSE, min_size=1, max_size=3))
@settings(deadline=None, max_examples=40)
def test_every_word_is_in_one_passage_of_its_own_document(texts: list[str]) -> None:
    tokens, rows = cut(texts)
    for document in range(len(texts)):
        assert rows[rows[:, 0] == document, 3].sum() == tokens.n_words[document]


def test_a_passage_ends_at_the_first_sentence_end_from_80_words_on() -> None:
    text = " ".join(["stone"] * 84 + ["end."] + ["Next"] + ["brick"] * 120)
    [(_, end), _] = spans(text)
    assert text[:end].endswith("stone end.")


def test_a_passage_without_a_sentence_end_stops_at_160_words() -> None:
    _, rows = cut([" ".join(["stone"] * 400)])
    assert rows[:, 3].tolist() == [160, 160, 80]


def test_a_short_tail_joins_the_passage_before_it() -> None:
    _, rows = cut([" ".join(["stone"] * 99 + ["end.", "A", "short", "tail", "here."])])
    assert rows[:, 3].tolist() == [104]


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("He came. She left.", ["She"]),
        ("Why leave? Because! Really… Truly.", ["Because", "Really", "Truly"]),
        ("He left.” She stayed.", ["She"]),
        ("He left. “She stayed.", ["“"]),
        ("Then Mr. Pryke met Dr. Moss.", []),
        ("A title\n\nthe body", ["the"]),
        ("a line\nits wrap", []),
        ("它来了。她走了。", ["她"]),
        ("It cost 3.50 in all.", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, starts: list[str]) -> None:
    assert sentences(text) == starts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't", ["don't"]),
        ("don’t", ["don’t"]),
        ("'twas the dogs' dinner", ["twas", "the", "dogs", "dinner"]),
        ("rock 'n' roll", ["rock", "n", "roll"]),
        ("well-known 3,5", ["well", "known", "3", "5"]),
        ("Café Ærø e\u0301te\u0301", ["Café", "Ærø", "e\u0301te\u0301"]),
        ("東京 tower", ["東", "京", "tower"]),
        ("I 😀 you", ["I", "😀", "you"]),
        ("한국어", ["한국어"]),
        ("nul\0byte soft\u00adhyphen", ["nul\0byte", "soft\u00adhyphen"]),
    ],
)
def test_words_are_cut_as_written(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [("don't", "don’t"), ("CAFÉ", "cafe"), ("nul\0byte", "nulbyte"), ("e\u0301te\u0301", "été")],
)
def test_spellings_that_read_alike_hash_alike(one: str, other: str) -> None:
    assert tokenise([one]).words.tolist() == tokenise([other]).words.tolist()


def test_offsets_count_characters_and_not_bytes() -> None:
    text = "É 東 😀 “x” end"
    tokens = tokenise([text])
    assert tokens.char_starts.tolist() == [0, 2, 4, 6, 7, 8, 10]
    assert tokens.starts.tolist() == [0, 3, 7, 12, 15, 16, 20]


def test_a_line_without_spaces_is_one_word() -> None:
    tokens, rows = cut(["a" * 300_000])
    assert tokens.n_words.tolist() == [1]
    assert rows.tolist() == [[0, 0, 1, 1]]


def test_nul_bytes_are_kept_inside_a_passage() -> None:
    text = "one\0 two \0 three"
    assert [text[a:b] for a, b in spans(text)] == [text]


@pytest.mark.parametrize("text", ["", " \n\t", "\0\0", "\u200b\ufeff"])
def test_a_text_that_prints_nothing_has_no_passage(text: str) -> None:
    assert spans(text) == []


def test_an_empty_document_leaves_its_neighbours_in_place() -> None:
    _, rows = cut(["one two", "", "three"])
    assert rows[:, [0, 3]].tolist() == [[0, 2], [2, 1]]


def test_no_documents_give_no_tokens() -> None:
    tokens = tokenise([])
    assert (len(tokens.hashes), tokens.document_offsets.tolist()) == (0, [0])


def test_what_is_dropped_between_tokens_is_space_or_control_or_a_mark() -> None:
    classes, _ = character_tables()
    dropped = {unicodedata.category(chr(code)) for code in np.flatnonzero(classes == NOTHING)}
    assert dropped == {"Cc", "Cf", "Mn", "So"}  # So is the replacement character, U+FFFD
