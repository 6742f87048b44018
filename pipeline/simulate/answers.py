"""What the simulator says: what it sees, what it works out, what it knows, and some of it wrong on purpose. No model anywhere."""

import hashlib
import re
from dataclasses import dataclass
from fractions import Fraction

from pipeline.simulate import facts, sums
from pipeline.simulate.asked import Asked, count_tokens, cut_tokens
from pipeline.simulate.faults import draws
from pipeline.simulate.looks import look

MODEL = "simulated"
# A prompt that holds this gets it back: so a test can prove that a completion belongs to its row.
_DIGEST = re.compile(r"\bdigest:[0-9a-f]{4,128}\b")
_ECHO_IMAGE = "echo image"
# Questions stand at the end of a prompt. A text longer than this is not read for one.
_QUESTION_CHARACTERS = 2000
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A completion. `digests` are those of the prompt that the text gives back."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    digests: tuple[str, ...]


def answer(asked: Asked, *, seed: int, wrong: float) -> Answer:
    """Answer one request, the same one always alike. `wrong` is the share of questions to be answered wrongly.

    Which ones depends on seed, model name and the whole prompt: another template or model errs elsewhere.
    Raises NotAPictureError for a picture that cannot be decoded.
    """
    digests = tuple(dict.fromkeys(_DIGEST.findall(asked.text)))
    echoes = [*digests, *(_image_digest(image) for image in asked.images if _ECHO_IMAGE in asked.text)]
    text = " ".join([_see(asked.images) if asked.images else _reply(asked, seed, wrong), *echoes])
    reason = "stop"
    if asked.most_tokens is not None and count_tokens(text) > asked.most_tokens:
        text, reason = cut_tokens(text, asked.most_tokens), "length"
    return Answer(text, reason, asked.tokens(), count_tokens(text), tuple(digest for digest in digests if digest in text))


def _image_digest(image: bytes | str) -> str:
    data = image.encode("utf-8", "replace") if isinstance(image, str) else image
    return f"image:{hashlib.sha256(data).hexdigest()[:16]}"


def _see(images: tuple[bytes | str, ...]) -> str:
    """Describe each picture; one that is only pointed at stays unseen, for the simulator opens no connections."""
    seen = [
        "picture at an address, which the simulator does not open" if isinstance(each, str) else look(each) for each in images
    ]
    if len(seen) == 1:
        return f"A {seen[0]}."
    return " ".join(f"Picture {number}: a {each}." for number, each in enumerate(seen, 1))


def _reply(asked: Asked, seed: int, wrong: float) -> str:
    question = _question(asked.question)
    chance, which, _, _ = draws(f"{seed}:{asked.model}:{asked.text}")
    err = chance < wrong
    fact = facts.look_up(question)
    if fact is not None:
        return fact.others[int(which * len(fact.others))] if err else fact.answer
    value = sums.solve(question)
    if value is not None:
        return sums.say(_beside(value, which) if err else value)
    if question.endswith("?"):
        return "I do not know: I am a simulator."
    return f"The simulator read {len(asked.text.split())} words."


def _question(text: str) -> str:
    """Find the last sentence that asks; without a question mark, the end of the text."""
    sentences = _SENTENCE_END.split(text[-_QUESTION_CHARACTERS:].strip())
    return next((each for each in reversed(sentences) if each.endswith("?")), sentences[-1])


def _beside(value: Fraction, which: float) -> Fraction:
    """Miss by one, two or ten: the slips people make."""
    return value + (-10, -2, -1, 1, 2, 10)[int(which * 6)]
