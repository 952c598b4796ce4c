"""How much the wordings of the splits have in common, as words, verbs and runs of words.

    python examples/specialists/overlap.py

Names, things and numbers are marks here (N, T and #), so what is compared is the sentence around
them. "Shared" is the share of a split's different runs of n words, taken within sentences, that
occur in a wording of any split that trains or chooses: train, search and validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from forms import FORMS
from problems import SUMS, WORDINGS
from questions import ASKED, SHAPES, VERBS
from spelling import TEMPLATE

MARKS = {"name": "N", "other": "N", "third": "N", "things": "T", "thing": "T", "other_thing": "T"}
CHOOSING = ("train", "search", "validation")
"""What the specialists are trained on and what the published searches see."""

# Words that every English sentence has. Whatever else two wordings share, they share as content.
FUNCTION_WORDS = frozenset(
    """
    a about after all also among an and are as at be been before both but by can could did do does
    during for from had has have how i if in into is it its may many more most must not of off on
    one or our out so some than that the their them then there these they this those to under up
    was we were what when where which while who whom whose will with would you
    """.split()
)
_STEMS: dict[str, str] = {
    form: stem
    for stem, *forms in map(
        str.split,
        """
        begin began begun
        blow blew
        break broke broken
        bring brought
        buy bought
        catch caught
        child children
        choose chose chosen
        draw drew
        fall fell
        find found
        get got
        give gave given
        go going went
        grow grew
        hang hung
        hide hid hidden
        hold held
        keep kept
        lay laid
        lead led
        lend lent
        lie lay
        lose lost
        make made
        pay paid
        ride rode ridden
        rise rose
        say said
        see saw seen seeing
        seek sought
        sell sold
        slide slid
        stand stood
        swim swam swum
        take took taken
        throw threw thrown
        win won
        """.strip().splitlines(),
    )
    for form in forms
}


def wordings() -> dict[str, tuple[str, ...]]:
    """Split -> every wording of its own: problems, forms and what the json specialist is asked."""
    own: dict[str, tuple[str, ...]] = {
        split: (*(w.question for w in listed), *SHAPES[split], *VERBS[split])
        for split, listed in WORDINGS.items()
    }
    own["train"] += (*SUMS, *(asked.question for asked in ASKED), TEMPLATE)
    return own | {split: tuple(f.question for f in listed) for split, listed in FORMS.items()}


def problem_wordings() -> dict[str, tuple[str, ...]]:
    """Split -> the wordings of its word problems alone."""
    return {
        split: tuple(wording.question for wording in listed)
        for split, listed in (WORDINGS | FORMS).items()
    }


def sentences(wording: str) -> list[tuple[str, ...]]:
    """The words of each sentence in small letters, with N, T and # where something is filled in."""
    marked = re.sub(r"\{(\w+)\}(?:'s)?", lambda found: f" {MARKS.get(found[1], '#')} ", wording)
    split = (re.findall(r"[A-Za-z]+|#", part) for part in re.split(r"[.?!;:]", marked))
    return [tuple(w if w in "NT" else w.lower() for w in words) for words in split if words]


def content(text: Iterable[str]) -> set[str]:
    """The stems of all words but function words: verbs, nouns, adjectives, adverbs, numerals."""
    words = {word for wording in text for sentence in sentences(wording) for word in sentence}
    return {stem(word) for word in words if word.isalpha() and word.islower()} - FUNCTION_WORDS


def stem(word: str) -> str:
    """A word without its ending: sorts, sorted and sorting are one."""
    if word in FUNCTION_WORDS:
        return word
    if word in _STEMS:
        return _STEMS[word]
    for ending in ("ing", "ies", "ied", "ed", "es", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def runs(text: Iterable[str], n: int) -> set[tuple[str, ...]]:
    """All runs of n words within sentences."""
    return {
        sentence[start : start + n]
        for wording in text
        for sentence in sentences(wording)
        for start in range(len(sentence) - n + 1)
    }


def shared(one: Iterable[str], other: Iterable[str], n: int) -> float:
    """The share of one's runs of n words that the other has, too."""
    own = runs(one, n)
    return len(own & runs(other, n)) / len(own)


def main() -> None:
    problems, all_of = problem_wordings(), wordings()
    print(f"{'split':18} wordings  content words  runs of 2 words  of 3  of 4  of 5   (shared)")
    for split, own in problems.items():
        if split == "train":
            continue
        others = [w for other in CHOOSING if other != split for w in all_of[other]]
        known = content(own) & content(others)
        words = len(known) / len(content(own))
        of_n = "".join(f"{shared(own, others, n):6.0%}" for n in (3, 4, 5))
        print(f"{split:18} {len(own):8} {words:14.0%} {shared(own, others, 2):16.0%}{of_n}")


if __name__ == "__main__":
    main()
