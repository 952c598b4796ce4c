"""The names, things and places that problems and questions are filled in with."""

from __future__ import annotations

NAMES: tuple[str, ...] = tuple(
    """
    Adam Alice Amy Andrew Anna Arthur Ben Bella Bob Brian Carl Carol Cathy Charles Chloe Chris Clara
    Daniel David Diana Dora Dylan Edward Ella Emily Emma Eric Ethan Eva Felix Fiona Frank Fred
    George Gina Grace Grant Hannah Harry Helen Henry Hugo Ian Ida Iris Isaac Ivan Jack Jacob James
    Jane Jason Jenny Joe John Julia Karen Kate Kevin Kim Kyle Laura Leo Liam Lily Linda Lisa Lucas
    Lucy Maria Mark Martin Mary Matt Mia Michael Molly Nancy Nathan Nick Nina Noah Nora Oliver
    Olivia Omar Oscar Pam Paul Peter Rachel Ray Rita Robert Rose Ruby Ryan Sally Sam Sara Scott
    Simon Sophie Steve Susan Ted Tina Tim Tom Tony Vera Victor Wendy William Zoe
    """.split()
)

# Countable things, for problems: "7 apples".
THINGS: tuple[str, ...] = tuple(
    """
    apples balls balloons beads books bottles boxes buttons cakes candles candies cards carrots
    chairs coins cookies cups dolls eggs fish flags flowers forks hats keys kites lamps lemons
    letters magnets marbles mugs nails nuts onions oranges pages peaches pears pencils pens photos
    pies pins plants plates plums posters potatoes ribbons rings rocks roses seeds shells shirts
    spoons stamps stickers stones tickets tomatoes towels toys trees trucks tulips
    """.split()
)

# Things that somebody does something with, for questions: "Tom paints a fence".
OBJECTS: tuple[str, ...] = (
    "a bag", "a ball", "a basket", "a bell", "a bike", "a blanket", "a book", "a bottle", "a box",
    "a cake", "a camera", "a chair", "a clock", "a coat", "a coin", "a drum", "a fence", "a flag",
    "a guitar", "a hammer", "a hat", "a key", "a kite", "a ladder", "a lamp", "a letter", "a map",
    "a mirror", "a paper boat", "a photo", "a picture", "a plate", "a radio", "a ring", "a rope",
    "a shirt", "a statue", "a table", "a ticket", "a toy car", "a vase", "a violin", "a wheel",
    "an old watch", "an umbrella", "some apples", "some bread", "some cheese", "some eggs",
    "some flowers", "some honey", "some lemons", "some milk", "some paper", "some pears",
    "some rice", "some soup", "some stones", "some tea", "two tickets",
)  # fmt: skip

PLACES: tuple[str, ...] = (
    "at home", "at school", "at the airport", "at the bank", "at the beach", "at the farm",
    "at the fair", "at the harbor", "at the hotel", "at the lake", "at the library",
    "at the market", "at the museum", "at the station", "at the theater", "at the zoo",
    "in the attic", "in the barn", "in the forest", "in the garage", "in the garden",
    "in the hall", "in the kitchen", "in the office", "in the park", "in the village",
    "near the bridge", "near the church", "near the river", "on the balcony", "on the bus",
    "on the hill", "on the island", "on the roof", "on the train",
)  # fmt: skip

# Of the split `foreign` alone: people and things that no other split and no training knows.
FOREIGN_NAMES: tuple[str, ...] = tuple(
    """
    Aisha Akira Amara Anders Anjali Astrid Bjorn Camila Carmen Dmitri Elena Esteban Farah Fatima
    Giulia Hassan Hiroshi Ingrid Jamal Javier Kenji Kofi Lars Leila Ling Mateo Mehmet Nadia Niamh
    Olga Pablo Priya Rafael Rohan Sanjay Sofia Tariq Valentina Yara Yuki
    """.split()
)
FOREIGN_THINGS: tuple[str, ...] = tuple(
    """
    acorns apricots badges bracelets buckets coconuts combs compasses crayons cushions envelopes
    feathers gloves helmets lanterns mangoes notebooks olives pebbles pillows postcards pumpkins
    puppets radishes sandals telescopes tiles tokens walnuts whistles
    """.split()
)

# Of the splits `search_varied` and `validation_varied`.
MORE_THINGS: tuple[str, ...] = tuple(
    """
    belts blocks bolts brushes clips corks erasers fans gifts ladles mirrors napkins needles pegs
    puzzles rulers screws sponges spools straws tags wires
    """.split()
)
