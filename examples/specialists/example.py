"""One example of a skill: what is asked, what a good response looks like, what counts as right."""

from __future__ import annotations

from dataclasses import dataclass

JSON_REQUEST = "Answer in JSON."


@dataclass(frozen=True, kw_only=True)
class Example:
    """A question with its target.

    `template` is the wording before names and numbers were filled in and `key` is what was filled
    in (operands, names or a word): the two things that no two splits may share.
    """

    question: str
    response: str  # the full worked response: what a specialist is trained to write
    answer: str  # what the evaluation compares with
    template: str
    key: tuple[int | str, ...]

    def record(self) -> dict[str, object]:
        """The line of an evaluation file. Responses are for training and stay out of it."""
        return {
            "question": self.question,
            "answer": self.answer,
            "template": self.template,
            "key": list(self.key),
        }
