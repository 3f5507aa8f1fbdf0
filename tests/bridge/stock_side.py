"""Runs in one process with stock ESPnet imported (16 s, once): trained models in, what stock says of them out.

Usage: python stock_side.py WORK
WORK/asked.json names the models; WORK/answers.pt receives the tensors, WORK/stock_* what stock trained or built.
"""

import argparse
import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
import yaml
from espnet2.bin.asr_inference import Speech2Text
from espnet2.bin.tts_inference import Text2Speech
from espnet2.tasks.asr import ASRTask
from espnet2.tasks.gan_tts import GANTTSTask
from espnet2.tasks.lm import LMTask
from espnet2.tasks.tts import TTSTask

import espnet_ext  # noqa: F401  before ESPnet: dotted paths work in its choices


def build(task, folder: Path, changes: dict) -> None:
    """What a stock training would leave: every key of the parser in config.yaml, and weights."""
    config = {**task.get_default_config(), **changes}
    torch.manual_seed(0)
    model = task.build_model(argparse.Namespace(**config))
    for parameter in model.parameters():  # alive enough to say something
        if parameter.dim() > 1 and task in (ASRTask, LMTask):
            torch.nn.init.normal_(parameter, std=0.3)
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    torch.save(model.state_dict(), folder / "model.pth")


def recognise(asked: dict, waves: list) -> list:
    engine = Speech2Text(
        asr_train_config=asked["asr"][0],
        asr_model_file=asked["asr"][1],
        lm_train_config=asked["lm"][0],
        lm_file=asked["lm"][1],
        beam_size=3,
        ctc_weight=0.4,
        lm_weight=0.3,
        penalty=0.1,
        nbest=2,
    )
    return [
        [(text, list(token), float(hyp.score)) for text, token, _, hyp in engine(wave)]
        for wave in waves
    ]


def speak(asked: list, texts: list, what: str = "feat_gen") -> list:
    engine = Text2Speech(train_config=asked[0], model_file=asked[1], always_fix_seed=True)
    return [engine(text)[what] for text in texts]


def encoded(asked: list, wave: np.ndarray) -> torch.Tensor:
    model, _ = ASRTask.build_model_from_file(*asked)
    with torch.no_grad():
        return model.eval().encode(torch.from_numpy(wave)[None], torch.tensor([len(wave)]))[0]


def refusals() -> dict[str, str]:
    """What stock's own parser says to names: nothing, or an error."""
    parser = ASRTask.get_parser()
    found = {}
    for name in ("conformer", "espnet_ext.asr.encoder:CnnConformerEncoder", "conformr"):
        try:
            found[name] = parser.parse_args(["--output_dir", "x", "--encoder", name]).encoder
        except SystemExit as stopped:
            found[name] = f"exit {stopped.code}"
    return found


def main(work: Path) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    asked = json.loads((work / "asked.json").read_text())
    waves = list(np.load(work / "waves.npz").values())
    tasks = {"asr": ASRTask, "lm": LMTask, "tts": TTSTask, "gan_tts": GANTTSTask}
    for name, (task, changes) in asked["build"].items():
        build(tasks[task], work / f"stock_{name}", changes)
    stock = {
        n: [str(work / f"stock_{n}/config.yaml"), str(work / f"stock_{n}/model.pth")]
        for n in asked["build"]
    }
    kinds = {"tts": "feat_gen", "gan_tts": "wav"}
    answers = {
        "parser": refusals(),
        "ours": recognise(asked["ours"], waves),
        "ours_encoded": encoded(asked["ours"]["asr"], waves[0]),
        "ours_speech": speak(asked["ours"]["tts"], asked["texts"]),
        "stock": recognise(stock, waves),
        **{
            n: speak(stock[n], asked["texts"], kinds[asked["build"][n][0]])
            for n in asked["build"]
            if asked["build"][n][0] in kinds
        },
    }
    torch.save(answers, work / "answers.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
