"""What a recogniser got wrong: the worst sentences, aligned."""

from __future__ import annotations

from collections.abc import Mapping

from espnet_ext.metrics.wer import Alignment, align
from espnet_ext.report.markup import esc

_NAMES = {"S": "substituted", "D": "deleted", "I": "inserted"}


def align_all(ref: Mapping[str, str], hyp: Mapping[str, str]) -> dict[str, Alignment]:
    """Words of each reference aligned with those recognised (none where that is missing)."""
    return {utt: align(text.split(), hyp.get(utt, "").split()) for utt, text in ref.items()}


def worst(aligned: Mapping[str, Alignment], count: int) -> list[str]:
    """Utterances with the most errors a word, the worst first; only those with any error."""
    wrong = {utt: a.counts for utt, a in aligned.items() if a.counts.errors}
    rates = {utt: (-c.errors / max(c.words, 1), -c.errors, utt) for utt, c in wrong.items()}
    return sorted(wrong, key=lambda utt: rates[utt])[:count]


def aligned_html(alignment: Alignment) -> str:
    """Reference above hypothesis, column by column; errors coloured, and marked S, D or I."""
    cells = []
    for op, ref, hyp in alignment.columns():
        if op == "C":
            cells.append(f'<span class="w"><b>{esc(ref)}</b><i>{esc(hyp)}</i><u></u></span>')
            continue
        shown = "".join(
            f"<{tag}>{esc(w) or '&nbsp;'}</{tag}>" for tag, w in (("b", ref), ("i", hyp))
        )
        cells.append(f'<span class="w {op}" title="{_NAMES[op]}">{shown}<u>{op}</u></span>')
    return f'<div class="aligned">{"".join(cells) or "(nothing said, nothing recognised)"}</div>'
