"""Words spelt out letter by letter: the skill `spell`, which has nothing to do with the flagship.

It is there to be left out of a merge, and to show what a merge forgets. Words are dealt to the
splits by their hash.
"""

from __future__ import annotations

import random
from pathlib import Path

from example import Example
from partition import Split, members

TEMPLATE = 'Spell the word "{word}".'
WORDS = tuple(Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split())


def spelling(split: Split, rng: random.Random) -> Example:
    """A word of `split` to be spelt."""
    word = rng.choice(members(WORDS, split))
    spelt = "-".join(word)
    return Example(
        question=TEMPLATE.format(word=word),
        response=spelt,
        answer=spelt,
        template=TEMPLATE,
        key=(word,),
    )
