"""Words spelt over the radio: the skill `spell`, which has nothing to do with the flagship.

It is there to be left out of a merge, and to show what a merge forgets. Words are dealt to the
splits by their hash. (Spelling a word that is not yet cut into letters was tried first: the
tokens of a 135M model know too little about their letters to generalise to unseen words.)
"""

from __future__ import annotations

import random
from pathlib import Path

from example import Example
from partition import Split, members

TEMPLATE = "Spell {letters} over the radio."
WORDS = tuple(Path(__file__).with_name("words.txt").read_text(encoding="utf-8").split())
RADIO_WORDS: dict[str, str] = {
    word[0].lower(): word
    for word in """
    Alfa Bravo Charlie Delta Echo Foxtrot Golf Hotel India Juliett Kilo Lima Mike November Oscar
    Papa Quebec Romeo Sierra Tango Uniform Victor Whiskey Xray Yankee Zulu
    """.split()
}


def spelling(split: Split, rng: random.Random) -> Example:
    """A word of `split` to be spelt: h-o-u-s-e is Hotel Oscar Uniform Sierra Echo."""
    word = rng.choice(members(WORDS, split))
    spelt = " ".join(RADIO_WORDS[letter] for letter in word)
    return Example(
        question=TEMPLATE.format(letters="-".join(word)),
        response=spelt,
        answer=spelt,
        template=TEMPLATE,
        key=(word,),
    )
