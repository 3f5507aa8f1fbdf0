"""The processes that benchmarks/decoding.py starts: a side reads a line of JSON, does it, and writes one.

{"do": "recognise", "share": 0, "shares": 1, "subset": 0 or n, "threads": 2, "one": false, "batch": 0 or n} -> seconds
of the median call (of an utterance, if `one`, and with stock; of `batch` utterances; or of all), seconds of the
processor, words, tokens, scores, and the peak of memory so far; {"do": "score", "texts": {utterance: [token numbers,
...]}} -> the score of each by this side's own scorers.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: What an utterance gives: its words, its tokens' numbers, its score.
Found = tuple[str, list[int], float]


def sounds(folders: Sequence[Path], limit: int) -> dict[str, Any]:
    """Utterances of data directories, one directory after the other, with samples (T,)."""
    from espnet_ext.audio.read import read
    from espnet_ext.datadir import read_table

    entries = [e for folder in folders for e in read_table(folder / "wav.scp").items()][:limit]
    return {utt: read(entry, utt)[0][:, 0].astype("float32") for utt, entry in entries}


class Stock:
    """ESPnet's own, one utterance a call."""

    def __init__(self, args: argparse.Namespace) -> None:
        import espnet_ext  # noqa: F401  (stock may build classes that a YAML names)
        from espnet_ext.bridge.imports import espnet2

        lm = {}
        if args.lm_dir:
            lm = {
                "lm_train_config": f"{args.lm_dir}/config.yaml",
                "lm_file": f"{args.lm_dir}/{args.lm_model}",
            }
        self.rate = 16000
        self.recogniser = espnet2("bin.asr_inference").Speech2Text(
            asr_train_config=f"{args.model_dir}/config.yaml",
            asr_model_file=f"{args.model_dir}/{args.model}",
            device=args.device,
            beam_size=args.beam,
            ctc_weight=args.ctc_weight,
            lm_weight=args.lm_weight if args.lm_dir else 0.0,
            **lm,
        )

    def __call__(self, speeches: Sequence[Any]) -> list[Found]:
        return [self._one(speech) for speech in speeches]

    def _one(self, speech: Any) -> Found:
        return self._best(self.recogniser(speech))

    def _best(self, found: Any) -> Found:
        # with what the intermediate CTC says beside it, where there is one
        best = (found[0] if isinstance(found, tuple) else found)[0]
        return best[0] or "", [int(t) for t in best[2]], float(best[3].score)

    def score(self, speech: Any, texts: Sequence[Sequence[int]]) -> list[float]:
        """Weighted scores of texts by stock's scorers, each asked for one token after the other."""
        import torch

        search, model = self.recogniser.beam_search, self.recogniser.asr_model
        samples = torch.from_numpy(speech)[None].to(self.recogniser.device)
        with torch.no_grad():
            encoded = model.encode(samples, torch.tensor([len(speech)]))[0]
            encoded = (encoded[0] if isinstance(encoded, tuple) else encoded)[0]
            return [walked(search, encoded, [*text, search.eos]) for text in texts]


class Upstream(Stock):
    """A later ESPnet's own, several utterances a call."""

    def __call__(self, speeches: Sequence[Any]) -> list[Found]:
        if len(speeches) == 1:
            return [self._one(speeches[0])]
        return [self._best(found) for found in self.recogniser.batch_decode(list(speeches))]


def walked(search: Any, encoded: Any, wanted: Sequence[int]) -> float:
    """The score of a sentence with its <eos> by the scorers of a stock BeamSearch; `encoded` is (T, D)."""
    import torch

    total = 0.0
    for name, scorer in {**search.full_scorers, **search.part_scorers}.items():
        state, prefix = scorer.init_state(encoded), [search.sos]
        for token in wanted:
            y, part = torch.tensor(prefix, device=encoded.device), name in search.part_scorers
            if part:
                ids = torch.tensor([token], device=encoded.device)
                scores, state = scorer.score_partial(y, ids, state, encoded)
                state = scorer.select_state(state, 0)
            else:
                scores, state = scorer.score(y, state, encoded)
            total += search.weights[name] * float(scores[0 if part else token])
            prefix.append(token)
    return total


class Ours:
    """Ours, all utterances in a call."""

    def __init__(self, args: argparse.Namespace) -> None:
        from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text

        options = DecodeOptions(
            beam_size=args.beam,
            ctc_weight=args.ctc_weight,
            lm_weight=args.lm_weight if args.lm_dir else 0.0,
        )
        files = (args.model_dir, args.model, args.lm_dir, args.lm_model)
        self.recogniser = Speech2Text.from_dir(*files, options=options, device=args.device)
        self.rate = self.recogniser.rate or 16000

    def __call__(self, speeches: Sequence[Any]) -> list[Found]:
        found = [recognised[0] for recognised in self.recogniser.many(speeches)]
        return [(best.text, list(best.token_ids), best.score) for best in found]

    def score(self, speech: Any, texts: Sequence[Sequence[int]]) -> list[float]:
        """Weighted scores of texts by our scorers, each of which reads the whole sentence."""
        from espnet_ext.search.bound import whole_scores

        encoded = self.recogniser._encode(speech)
        assert encoded is not None
        return whole_scores(self.recogniser.batched, encoded, texts)


class Encoder(Ours):
    """The encoder and nothing else."""

    def __call__(self, speeches: Sequence[Any]) -> list[Found]:
        import torch

        with torch.inference_mode():  # as the search asks for it
            encoded = [self.recogniser._encode(speech) for speech in speeches]
        return [(str(len(one)), [], 0.0) for one in encoded if one is not None]


SIDES = {"stock": Stock, "ours": Ours, "encoder": Encoder, "upstream": Upstream}


def work(args: argparse.Namespace) -> None:
    """A side's process, until nothing more is asked."""
    import torch

    every, side = sounds(args.data, args.limit), SIDES[args.side](args)
    side([min(every.values(), key=len)])
    print("ready", flush=True)
    for line in sys.stdin:
        wanted = json.loads(line)
        if wanted["do"] == "score":
            texts = wanted["texts"].items()
            answer = {utt: side.score(every[utt], own) for utt, own in texts}
        else:
            torch.set_num_threads(wanted["threads"])
            batch = 1 if wanted["one"] or args.side == "stock" else wanted["batch"]
            answer = recognised(side, chosen(every, wanted), batch)
        print(json.dumps(answer), flush=True)


def chosen(every: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """A share of the utterances or of an even choice of them, the longest first."""
    names = list(every)
    if wanted["subset"]:
        names = names[:: max(1, len(names) // wanted["subset"])][: wanted["subset"]]
    names = sorted(names, key=lambda utt: -len(every[utt]))
    return {utt: every[utt] for utt in names[wanted["share"] :: wanted["shares"]]}


def recognised(side: Any, own: dict[str, Any], batch: int) -> dict[str, Any]:
    """What is said in some utterances, `batch` of them a call (0: all), and what it took."""
    seconds, found = list[float](), list[Found]()
    speeches, busy = list(own.values()), time.process_time()
    for begin in range(0, len(speeches), batch or len(speeches)):
        started = time.perf_counter()
        found += side(speeches[begin : begin + (batch or len(speeches))])
        seconds.append(time.perf_counter() - started)
    return {
        "audio": sum(map(len, speeches)) / side.rate,
        "busy": time.process_time() - busy,
        "each": statistics.median(seconds),
        "found": dict(zip(own, found, strict=True)),
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
