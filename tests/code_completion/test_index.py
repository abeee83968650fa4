"""The index against a plain search of the same text."""

import numpy as np
import pytest
import torch
from coder import SOURCE, codec_of, untaught

from septet.code_completion.index import LONGEST, Index, Segment
from septet.codecs.symbols import Symbols
from septet.space import Refusal


@pytest.fixture(scope="module")
def codec():
    return codec_of(untaught())


def shown(codec: Symbols, symbol: int) -> str:
    return codec.text_of(torch.tensor([symbol]))


def longest(files: list[list[int]], run: list[int]) -> tuple[int, list[int]]:
    """By looking everywhere: the longest end of `run` in the files, and what follows it."""
    for length in range(min(len(run), LONGEST), 0, -1):
        tail, found = run[-length:], []
        for symbols in files:
            found += [symbols[i + length] for i in range(len(symbols) - length) if symbols[i : i + length] == tail]
        if found:
            return length, found
    return 0, []


def test_it_finds_the_longest_run_and_all_that_follows_it(codec):
    stream = np.random.default_rng(0)
    words = ["a", "b", "cd", "(", ")", " ", "\n", "x1"]
    files = {str(n): "".join(stream.choice(words, 200)) for n in range(3)}
    segment = Segment(codec, files)
    rows = [codec.symbols_of(segment.text).tolist()]
    for _ in range(200):
        run = codec.symbols_of("".join(stream.choice(words, 8))).tolist()
        length, places = segment.after(run, set())
        expected_length, expected = longest(rows, run)
        assert length == expected_length
        assert sorted(segment.symbols[places].tolist()) == sorted(expected)


def test_a_name_of_the_project_follows_its_beginning(codec):
    index = Index(codec, {"harbour.py": SOURCE})
    text = "        return self.draught_of(boat) < self.dep"
    while not text.endswith("metres"):
        found = index.after(text)
        assert found.followers, text
        text += shown(codec, found.followers.most_common(1)[0][0])
    assert text.endswith("self.depth_metres")


def test_changed_and_removed_files_count_as_they_are_now(codec):
    index = Index(codec, {"a.py": "alpha = beta;\n", "b.py": "alpha = gamma;\n"})
    assert said(index, "alpha =") == {" beta;", " gamma;"}
    index.put("a.py", "alpha = delta;\n")
    assert said(index, "alpha =") == {" delta;", " gamma;"}
    index.put("b.py", None)
    assert said(index, "alpha =") == {" delta;"}
    index.put("c.py", "alpha = omega;\n")
    index.settle()
    assert said(index, "alpha =") == {" delta;", " omega;"}
    assert said(index, "alpha =", but="c.py") == {" delta;"}


def test_a_change_reads_one_file_however_many_have_changed(codec, monkeypatch):
    index = Index(codec, {f"{n}.py": f"item = part{n};\n" for n in range(4)})
    read, placed = [], Symbols.placed
    monkeypatch.setattr(Symbols, "placed", lambda codec, text: read.append(text) or placed(codec, text))
    for n in range(4):
        index.put(f"{n}.py", f"item = whole{n};\n")
    index.put("3.py", None)
    assert read == [f"item = whole{n};\n\0" for n in range(4)]
    assert said(index, "item =") == {f" whole{n};" for n in range(3)}


def said(index: Index, text: str, but: str | None = None, word: str = "") -> set[str]:
    """All that may follow, up to a semicolon."""
    if word.endswith(";"):
        return {word}
    followers = [shown(index.codec, symbol) for symbol in index.after(text + word, but).followers]
    return set().union(*(said(index, text, but, word + follower) for follower in followers))


def test_it_says_nothing_of_what_it_never_saw(codec):
    assert not Index(codec).after("anything").followers
    assert not Index(codec, {"a": "zz"}).after("qqqq").followers


def test_a_vocabulary_beyond_its_keys_is_refused():
    codec = Symbols(8, "characters", "".join(map(chr, range(0x10000, 0x10000 + 70_000))))
    with pytest.raises(Refusal, match="at most 65,536 tokens"):
        Index(codec)
