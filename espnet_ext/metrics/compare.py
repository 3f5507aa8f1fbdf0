"""Two recognisers on the same utterances: who is better, by how much, and is that more than chance?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from espnet_ext.datadir.tables import read_table
from espnet_ext.errors import UserError
from espnet_ext.metrics.asr import ScoreConfig, splitters
from espnet_ext.metrics.bootstrap import Improvement, improvement
from espnet_ext.metrics.groups import Groups, group_key, groupings, speakers_of
from espnet_ext.metrics.significance import MatchedPairs, matched_pairs, mcnemar
from espnet_ext.metrics.tables import match_keys
from espnet_ext.metrics.wer import Alignment, Counts, align, total

Pair = tuple[Alignment, Alignment]


@dataclass(frozen=True)
class Comparison:
    """Two systems on some utterances; A is the first, and what is gained is B's.

    Attributes:
        first, second: what they got right and wrong.
        gain: A's error rate less B's, in percentage points; None if there is no word.
        test: the matched-pair sentence-segment word error test.
        bootstrap: interval of the gain (95 %), and the probability that B is better; None if there is no word.
        only_first, only_second: utterances that only A, only B got wrong.
        sentences_p: p-value of McNemar's exact test on those.
    """

    first: Counts
    second: Counts
    gain: float | None
    test: MatchedPairs
    bootstrap: Improvement | None
    only_first: int
    only_second: int
    sentences_p: float

    def as_dict(self) -> dict[str, Any]:
        rates = {
            f"{name}_error_rate": c.error_rate
            for name, c in (("first", self.first), ("second", self.second))
        }
        return {**asdict(self), **rates}


@dataclass(frozen=True)
class Material:
    """What is compared.

    Attributes:
        pairs: utterance -> alignments of A and B.
        speakers: utterance -> speaker, as far as known.
        ways: name -> utterance -> group.
        sounds: utterance -> entry of wav.scp, as far as known.
    """

    pairs: dict[str, Pair]
    speakers: Groups
    ways: dict[str, Groups]
    sounds: dict[str, str]


def compare(pairs: Mapping[str, Pair], speakers: Groups, config: ScoreConfig) -> Comparison:
    """Compare two systems on some utterances.

    Args:
        pairs: utterance -> alignments of A and B with the same reference.
        speakers: utterance -> speaker, for config.blocks.
        config: draws, seed and blocks of the bootstrap.
    """
    counts = [(a.counts, b.counts) for a, b in pairs.values()]
    first, second = (total(pair[side] for pair in counts) for side in (0, 1))
    words = [float(a.words) for a, _ in counts]
    blocks = [speakers.get(u, u) for u in pairs] if config.blocks == "speaker" else None
    sure = improvement(
        [100.0 * a.errors for a, _ in counts],
        [100.0 * b.errors for _, b in counts],
        words,
        config.samples,
        seed=config.seed,
        blocks=blocks,
    )
    only_first = sum(a.wrong_sentences > b.wrong_sentences for a, b in counts)
    only_second = sum(a.wrong_sentences < b.wrong_sentences for a, b in counts)
    gain = 100.0 * (first.errors - second.errors) / first.words if first.words else None
    return Comparison(
        first,
        second,
        gain,
        matched_pairs(pairs.values()),
        sure,
        only_first,
        only_second,
        mcnemar(only_first, only_second),
    )


def by_group(
    material: Material, config: ScoreConfig, most: int = 40
) -> dict[str, dict[str, Comparison]]:
    """The comparison for each group of each way that divides the utterances into 2 to `most` groups."""
    found: dict[str, dict[str, Comparison]] = {}
    ways = {"speaker": material.speakers, **material.ways}
    for way, groups in ways.items():
        parts: dict[str, dict[str, Pair]] = {}
        for utt, group in groups.items():
            if utt in material.pairs:
                parts.setdefault(group, {})[utt] = material.pairs[utt]
        if 2 <= len(parts) <= most:
            found[way] = {
                group: compare(parts[group], material.speakers, config)
                for group in sorted(parts, key=group_key)
            }
    return found


def differ_most(pairs: Mapping[str, Pair], count: int) -> list[str]:
    """Utterances whose numbers of errors differ most, those that B lost first; none that do not differ."""
    lost = {u: b.counts.errors - a.counts.errors for u, (a, b) in pairs.items()}
    order = sorted(lost, key=lambda u: (-abs(lost[u]), -lost[u], u))
    return [utt for utt in order if lost[utt]][:count]


def read_material(
    ref: Path, first: Path, second: Path, config: ScoreConfig, kind: str = "wer"
) -> Material:
    """Read and align what is compared.

    Args:
        ref, first, second: files of `utterance text`, directories that hold one named `text`, or directories of
            such directories (dump/raw and two decodings): then all sets that both decodings have, together.
        config: how to score.
        kind: "wer", "cer" or, with config.token_dir, "ter".

    Raises:
        UserError: if one is missing, or the two have not recognised the same utterances.
    """
    sets = _sets(ref, first, second)
    material = Material({}, {}, {}, {})
    split = splitters(config)[kind]
    for name, (at, a, b) in sets.items():
        refs, one, two = (read_table(path, empty=True) for path in (at, a, b))
        expected = _same_utterances(refs, one, two, a, b)
        before = f"{name}/" if len(sets) > 1 else ""
        pairs = {
            u: tuple(align(split(refs[u]), split(h[u]), config.case_sensitive) for h in (one, two))
            for u in expected
        }
        words = {u: len(refs[u].split()) for u in expected}
        material.pairs.update({before + u: (p[0], p[1]) for u, p in pairs.items()})
        material.speakers.update({before + u: s for u, s in speakers_of(at.parent).items()})
        scp = at.parent / "wav.scp"
        if scp.is_file() and not (at.parent / "segments").is_file():
            material.sounds.update({before + u: entry for u, entry in read_table(scp).items()})
        for way, groups in groupings(at.parent, words, config.by).items():
            material.ways.setdefault(way, {}).update({before + u: g for u, g in groups.items()})
        if before:
            material.ways.setdefault("set", {}).update({before + u: name for u in expected})
    return material


def _sets(ref: Path, first: Path, second: Path) -> dict[str, tuple[Path, Path, Path]]:
    """Name of a set -> files of its reference and of both hypotheses."""
    files = [path / "text" if path.is_dir() else path for path in (ref, first, second)]
    if all(path.is_file() for path in files):
        return {first.name: (files[0], files[1], files[2])}
    names = [{p.parent.name for p in path.glob("*/text")} for path in (ref, first, second)]
    common = sorted(set.intersection(*names))
    if not common:
        lost = next(str(path) for path in files if not path.is_file())
        raise UserError(
            f"{lost}: not found, and {ref}, {first} and {second} hold no SET/text in common, expected three "
            "files, data directories, or directories of these: decode, or check the names"
        )
    return {n: (ref / n / "text", first / n / "text", second / n / "text") for n in common}


def _same_utterances(
    refs: Mapping[str, str], one: Mapping[str, str], two: Mapping[str, str], a: Path, b: Path
) -> Sequence[str]:
    for table, path in ((one, a), (two, b)):
        _, missing = match_keys(refs, table, path)
        if missing:
            raise UserError(
                f"{path}: found no hypothesis for {len(missing)} of {len(refs)} utterances, the first is "
                f"{missing[0]}; expected both systems on all: decode the rest, or compare on a subset of the reference"
            )
    return list(refs)
