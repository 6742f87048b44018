"""What the simulator knows: a few dozen facts in families, so that a wrong answer on purpose is at least of the right sort."""

import re
import unicodedata
from dataclasses import dataclass

# family -> (how its questions put it, {asked about: answer}). `{}` stands for what is asked about.
FAMILIES: dict[str, tuple[str, dict[str, str]]] = {
    "capital": (
        "capital of {}",
        {
            "Australia": "Canberra",
            "Brazil": "Brasilia",
            "Canada": "Ottawa",
            "Chile": "Santiago",
            "Egypt": "Cairo",
            "Finland": "Helsinki",
            "France": "Paris",
            "Ghana": "Accra",
            "Iceland": "Reykjavik",
            "India": "New Delhi",
            "Japan": "Tokyo",
            "Kenya": "Nairobi",
            "Mongolia": "Ulaanbaatar",
            "New Zealand": "Wellington",
            "Norway": "Oslo",
            "Peru": "Lima",
            "Poland": "Warsaw",
            "Portugal": "Lisbon",
            "Turkey": "Ankara",
            "Vietnam": "Hanoi",
        },
    ),
    "symbol": (
        "chemical symbol for {}",
        {
            "copper": "Cu",
            "gold": "Au",
            "helium": "He",
            "iron": "Fe",
            "lead": "Pb",
            "mercury": "Hg",
            "oxygen": "O",
            "potassium": "K",
            "silver": "Ag",
            "sodium": "Na",
            "tin": "Sn",
            "tungsten": "W",
        },
    ),
    "author": (
        "who wrote {}",
        {
            "A Room of One's Own": "Virginia Woolf",
            "Crime and Punishment": "Fyodor Dostoevsky",
            "Don Quixote": "Miguel de Cervantes",
            "Faust": "Johann Wolfgang von Goethe",
            "Frankenstein; or, The Modern Prometheus": "Mary Shelley",
            "Hamlet, Prince of Denmark": "William Shakespeare",
            "Moby-Dick; or, The Whale": "Herman Melville",
            "Pride and Prejudice": "Jane Austen",
            "The Divine Comedy": "Dante Alighieri",
            "The Lion, the Witch and the Wardrobe": "C. S. Lewis",
            "The Metamorphosis": "Franz Kafka",
            "War and Peace": "Leo Tolstoy",
        },
    ),
    "year": (
        "in which year did {}",
        {
            "the Berlin Wall fall": "1989",
            "Columbus first reach the Americas": "1492",
            "the French Revolution begin": "1789",
            "humans first land on the Moon": "1969",
            "the First World War begin": "1914",
            "the Second World War end": "1945",
            "the Titanic sink": "1912",
            "the Wright brothers first fly a powered aeroplane": "1903",
        },
    ),
    "planet": (
        "which planet {}",
        {
            "is closest to the Sun": "Mercury",
            "is the largest in the Solar System": "Jupiter",
            "is known as the Red Planet": "Mars",
            "is the farthest from the Sun": "Neptune",
            "has the best-known rings": "Saturn",
            "is hottest on average": "Venus",
        },
    ),
    "count": (
        "how many {}",
        {
            "bones does an adult human usually have": "206",
            "chambers does a human heart have": "4",
            "degrees does a full circle have": "360",
            "legs does an insect have": "6",
            "legs does a spider have": "8",
            "letters does the English alphabet have": "26",
            "minutes does a day have": "1440",
            "players does a football team have on the pitch": "11",
            "sides does a hexagon have": "6",
            "strings does a standard violin have": "4",
        },
    ),
    "continent": (
        "on which continent is {}",
        {
            "the Amazon rainforest": "South America",
            "the Gobi Desert": "Asia",
            "Mount Kilimanjaro": "Africa",
            "the Matterhorn": "Europe",
            "the South Pole": "Antarctica",
            "Yellowstone National Park": "North America",
        },
    ),
}

_LETTERS = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Fact:
    """An answer, and the other answers of its family."""

    answer: str
    others: tuple[str, ...]


def look_up(question: str) -> Fact | None:
    """Find the fact that `question` asks for, whatever else stands around it; of several the one asked about at most length."""
    plain = _plain(question)
    if not _CUES.search(plain):  # most prompts ask nothing of the kind, and a rehearsal has millions
        return None
    found = max((phrase for phrase in _FACTS if phrase in plain), key=len, default=None)
    return None if found is None else _FACTS[found]


def _plain(text: str) -> str:
    """Fold case, accents and punctuation; blanks at both ends, so that whole words are found."""
    ascii_ = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return f" {_LETTERS.sub(' ', ascii_.lower().replace(chr(39), '')).strip()} "


def _facts() -> dict[str, Fact]:
    facts = {}
    for put, answers in FAMILIES.values():
        for subject, answer in answers.items():
            others = tuple(sorted({other for other in answers.values() if other != answer}))
            facts[_plain(put.format(subject))] = Fact(answer, others)
    return facts


_FACTS = _facts()
_CUES = re.compile("|".join(_plain(put.partition("{}")[0]).rstrip() + r"\b" for put, _ in FAMILIES.values()))
