"""What recognition gives: hypotheses, and when and how surely each of their words was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Piece:
    """A word or a token.

    Attributes:
        text: as a person reads it, or as the token list has it.
        start, end: seconds from the beginning of the sound; None where the model cannot tell.
        confidence: probability that it is right, 0 to 1.
    """

    text: str
    start: float | None
    end: float | None
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """What may have been said.

    Attributes:
        text: as a person reads it.
        tokens: units of the token list.
        token_ids: their numbers.
        score: weighted log probability; only differences mean something.
        scores: its parts before weighting: "decoder", "ctc", "lm", "ngram", "ilm", "coverage", "boost", "length_bonus"
            as far as they have a weight.
        words, pieces: its words (between white space) and tokens with times and confidences; of the best hypothesis
            only, empty for the others.
    """

    text: str
    tokens: tuple[str, ...]
    token_ids: tuple[int, ...]
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    words: tuple[Piece, ...] = ()
    pieces: tuple[Piece, ...] = ()

    @property
    def confidence(self) -> float:
        """Share of words that are right, as far as the model knows; 0 without words."""
        return sum(word.confidence for word in self.words) / max(len(self.words), 1)


#: Where nothing was heard.
NOTHING = Hypothesis("", (), (), float("-inf"))


@dataclass(frozen=True)
class Recognition(Sequence[Hypothesis]):
    """One recognised utterance: a sequence of its hypotheses, best first, at least one.

    Attributes:
        nbest: the hypotheses.
        seconds: length of the sound.
        error: why nothing could be recognised (a file that cannot be read); None where all went well.

    >>> found = Recognition((Hypothesis("yes", ("yes",), (7,), -0.5),))
    >>> found.text, len(found), found[0].score
    ('yes', 1, -0.5)
    """

    nbest: tuple[Hypothesis, ...] = (NOTHING,)
    seconds: float = 0.0
    error: str | None = None

    def __len__(self) -> int:
        return len(self.nbest)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]
        return self.nbest[index]

    @property
    def text(self) -> str:
        """Of the best hypothesis, as the others below."""
        return self.nbest[0].text

    @property
    def tokens(self) -> tuple[Piece, ...]:
        """With times and confidences."""
        return self.nbest[0].pieces

    @property
    def words(self) -> tuple[Piece, ...]:
        """With times and confidences."""
        return self.nbest[0].words

    @property
    def confidence(self) -> float:
        """See Hypothesis.confidence."""
        return self.nbest[0].confidence
