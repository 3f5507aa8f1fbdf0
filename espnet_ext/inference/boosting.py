"""Phrases as tokens, for the search to find them more easily (see search.boost)."""

from __future__ import annotations

from collections.abc import Sequence

from espnet_ext.bridge.batched import Boost
from espnet_ext.errors import UserError
from espnet_ext.text.subwords import CONTINUED
from espnet_ext.text.tokens import SPACE, TextPipeline

PIECE = "\N{LOWER ONE EIGHTH BLOCK}"  # sentencepiece's sign of the beginning of a word
_UNSPACED = 0x2E80  # from here on scripts are written without spaces, emoji apart


def _begins(token: str, token_type: str) -> bool:
    """Whether a token begins a word, and so ends the one before."""
    if token_type == "bpe":
        return token.startswith(PIECE) or ord(token[0]) >= _UNSPACED
    if token_type == "char":
        return token == SPACE or (len(token) == 1 and ord(token) >= _UNSPACED)
    return not token.startswith(CONTINUED)


def boost_of(pipeline: TextPipeline, phrases: Sequence[str]) -> Boost | None:
    """Phrases in a model's tokens; None if there are none.

    Args:
        pipeline: the model's text side.
        phrases: as they are written in what the model was trained on.

    Raises:
        UserError: for a phrase that the model cannot write.
    """
    if not phrases:
        return None
    spaced = pipeline.token_type == "char" and SPACE in pipeline.token_list
    found = []
    for phrase in phrases:
        tokens = pipeline.tokens(phrase.strip())
        ids = pipeline.token_ids(tokens)
        if not ids or pipeline.unk_id in ids:
            lacking = [t for t, i in zip(tokens, ids, strict=True) if i == pipeline.unk_id]
            raise UserError(
                f"boost: found {phrase!r}, of which the model cannot write {' '.join(lacking) or 'anything'}: "
                "expected a phrase as it stands in the training text (capitals, spelling)"
            )
        begins = _begins(tokens[0], pipeline.token_type)
        found.append(pipeline.token_ids([SPACE]) + ids if spaced and not begins else ids)
    every = [_begins(token, pipeline.token_type) for token in pipeline.token_list]
    return Boost(found, every, pipeline.token_ids([SPACE]) if spaced else [])
