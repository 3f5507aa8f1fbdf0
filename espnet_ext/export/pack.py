"""Packing a trained model with all that its configuration refers to."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from espnet_ext.datadir.languages import TABLE as LANGUAGES
from espnet_ext.errors import UserError
from espnet_ext.export.archive import Contents, archive_name, map_strings, write_archive
from espnet_ext.export.card import model_card
from espnet_ext.files import find_above
from espnet_ext.lm import NGRAM_FILE


@dataclass(frozen=True)
class Task:
    """What ESPnet's inference class of a task calls its files.

    Attributes:
        config, model: arguments for the configuration and the weights.
        preferred: weights to take if none are named, the first that exist.
    """

    config: str
    model: str
    preferred: tuple[str, ...]


#: A vocoder in a synthesiser's archive; which weights are its best its own configuration says.
_VOCODER = Task("vocoder_config", "vocoder_weights", ())
LM = Task("lm_train_config", "lm_file", ("valid.loss.ave.pth", "valid.loss.best.pth"))
TASKS = {
    "asr": Task("asr_train_config", "asr_model_file", ("valid.acc.ave.pth", "valid.acc.best.pth")),
    "tts": Task(
        "train_config",
        "model_file",
        (
            "train.total_count.ave.pth",
            "valid.text2mel_loss.ave.pth",
            "valid.loss.ave.pth",
            "train.loss.ave.pth",
            "valid.loss.best.pth",
        ),
    ),
    # ours alone: arguments of espnet_ext.inference.vocoder.Vocoder
    "vocoder": Task("config", "weights", ("valid.mel.best.pth", "valid.mel.ave.pth")),
}

# of training only: a reader of the model does not have these files and does not need them
_TRAINING = {
    "config",
    "init_param",
    "output_dir",
    "train_data_path_and_name_and_type",
    "valid_data_path_and_name_and_type",
    "train_shape_file",
    "valid_shape_file",
}
_NEEDED = {"bpemodel", "stats_file"}  # the model does not work without these


def find_weights(directory: Path, preferred: Sequence[str], name: str | None = None) -> Path:
    """The weights named, or the first preferred ones that exist, or the only ones there.

    Raises:
        UserError: if there are none, others beside each other, or a training checkpoint was named.
    """
    if name == "checkpoint.pth":
        raise UserError(
            f"{directory / name} is the state of a training run, expected weights such as {preferred[0]}"
        )
    for candidate in [name] if name else preferred:
        if (directory / candidate).is_file():
            return directory / candidate
    found = (path for path in directory.glob("*.pth") if path.is_file())  # no dangling links
    there = sorted(path.name for path in found if path.name != "checkpoint.pth")
    if name is None and len({(directory / one).resolve() for one in there}) == 1:
        logging.warning("%s: found no %s, used %s", directory, " or ".join(preferred), there[0])
        return directory / there[0]
    first = there[0] if there else "NAME.pth"
    raise UserError(
        f"{directory}: found no {name or ' or '.join(preferred)}; weights there: "
        f"{', '.join(there) or 'none, train first'}; name one of them, as {directory / first} where a model is asked "
        f"for, as {first} where the weights of a folder are"
    )


def referred_files(config: Any, path: Path, key: str = "") -> Iterator[tuple[str, Path]]:
    """Every string in a configuration that is, or has to be, a file, and where that lies.

    Args:
        config: what config.yaml says.
        path: of config.yaml.
        key: under which `config` stands.

    Raises:
        UserError: if a file that the model needs does not exist.
    """
    if key in _TRAINING:
        return
    if isinstance(config, dict):
        for name, item in config.items():
            yield from referred_files(item, path, str(name))
    elif isinstance(config, (list, tuple)) and key != "token_list":  # tokens are no paths
        for item in config:
            yield from referred_files(item, path, key)
    elif isinstance(config, str) and config:
        found = _file(config, path)
        if found is not None:
            yield config, found
        elif key in _NEEDED or (key == "g2p" and "/" in config):  # a lexicon, no converter's name
            raise UserError(
                f"{key}: {config} named in {path} does not exist; run from the recipe's "
                "directory, or run the stage that makes it"
            )


def _file(text: str, config: Path) -> Path | None:
    """The file of that name, which a word without a slash is only here."""
    try:
        found = find_above(text, config) if "/" in text else Path(text)
        return found if found is not None and len(text) < 4096 and found.is_file() else None
    except (OSError, ValueError):  # text that cannot be a path
        return None


def add_model(
    contents: Contents, task: Task, directory: Path, weights: str | None = None, own: bool = False
) -> dict[str, Any]:
    """Take in config.yaml (its paths as they are in the archive), the weights and the files referred to.

    Args:
        contents: receives them.
        task: what they are called.
        directory: of the trained model.
        weights: name of the file; None = the usual one.
        own: they are none that stock ESPnet knows beside the archive's model.

    Returns:
        the configuration.

    Raises:
        UserError: if the directory holds no trained model or a file is missing.
    """
    path = directory / "config.yaml"
    if not path.is_file():
        raise UserError(f"{path}: not found, expected the directory of a trained model")
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    model = contents.add(find_weights(directory, task.preferred, weights))
    change = {value: contents.add(file) for value, file in referred_files(config, path)}
    if (directory / LANGUAGES).is_file():  # read beside config.yaml, there as here
        contents.add(directory / LANGUAGES)
    name = archive_name(path)
    if name in contents.texts:
        raise UserError(
            f"{path}: another model's configuration is {name} in the archive, too; rename a folder"
        )
    (contents.own_files if own else contents.files)[task.model] = model
    (contents.own_files if own else contents.yaml_files)[task.config] = name
    config = map_strings(config, change)
    contents.texts[name] = yaml.safe_dump(config, sort_keys=False)
    return config  # type: ignore[no-any-return]


def add_vocoder(contents: Contents, place: Path, weights: str | None = None) -> None:
    """Take in a trained vocoder, ours or ParallelWaveGAN's, for our own Text2Speech.

    Args:
        contents: receives it.
        place: its folder, or one file of weights with the configuration beside it.
        weights: name of a file in the folder; None = the best.

    Raises:
        UserError: if there is none.
    """
    from espnet_ext.inference.vocoder import vocoder_files
    from espnet_ext.vocoder.public import statistics_beside

    config, model = vocoder_files(place, weights)
    if config.suffix != ".yml":
        add_model(contents, _VOCODER, config.parent, model.name, own=True)
        return
    contents.own_files |= {
        _VOCODER.config: contents.add(config),
        _VOCODER.model: contents.add(model),
    }
    statistics = statistics_beside(model.parent)
    if statistics is not None:
        contents.add(statistics)


def result_files(directory: Path) -> list[Path]:
    """RESULTS.md and scores.json of a model directory and of its decode directories."""
    found = [*directory.glob("RESULTS.md"), *directory.glob("*/RESULTS.md")]
    return sorted([*found, *directory.glob("*/scores.json")])


def _ngram_file(path: Path) -> Path:
    """The file of an n-gram model.

    Raises:
        UserError: if it is not there.
    """
    path = path / NGRAM_FILE if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path}: no such n-gram model: run ngram_train, or drop --ngram")
    return path


def _add_decoding(contents: Contents, path: Path) -> None:
    """Take in the YAML that scores were made with, phrases of its own instead of their file's name.

    Raises:
        UserError: if it is none.
    """
    from espnet_ext.inference.packed_options import KEY, read_decoding

    options = read_decoding(path)
    contents.own_files[KEY] = name = contents.add(path)
    if isinstance(options.boost, str):
        given = yaml.safe_load(path.read_text(encoding="utf-8"))
        contents.texts[name] = yaml.safe_dump(
            {**given, "boost": options.phrases()}, sort_keys=False
        )


def _one_line(licence: str | None) -> str | None:
    """Raises UserError for a licence's text instead of its name."""
    if licence is not None and (not licence.strip() or len(licence.splitlines()) > 1):
        raise UserError(
            f"licence: found {licence[:60]!r}, expected a name such as cc-by-4.0 or apache-2.0"
        )
    return None if licence is None else licence.strip()


def _known_task(task: str, with_lm: bool, with_vocoder: bool) -> str:
    """Which of TASKS a task is packed as.

    Raises:
        UserError: for another one, or a language model or vocoder where none belongs.
    """
    task = "tts" if task == "gan_tts" else task  # one inference class serves both
    if task not in TASKS:
        raise UserError(f"found task {task!r}, expected one of {', '.join(TASKS)}")
    if with_lm and task != "asr":
        raise UserError(
            f"found a language model for {task}, expected one only for asr: drop --lm_dir and --ngram"
        )
    if with_vocoder and task != "tts":
        raise UserError(
            f"found a vocoder for {task}, expected one only for tts: drop --vocoder_dir"
        )
    return task


def pack(
    task: str,
    model_dir: str | Path,
    output: str | Path,
    model: str | None = None,
    lm_dir: str | Path | None = None,
    lm_model: str | None = None,
    options: Sequence[str | Path] = (),
    ngram: str | Path | None = None,
    vocoder_dir: str | Path | None = None,
    vocoder_model: str | None = None,
    licence: str | None = None,
    decode_config: str | Path | None = None,
) -> list[str]:
    """Pack a trained model in ESPnet's form. The current directory is the recipe's.

    Args:
        task: asr, tts, gan_tts or vocoder.
        model_dir: directory with config.yaml and weights.
        output: name of the archive, ends in .zip.
        model: name of the weights in `model_dir`; the usual ones of the task if None.
        lm_dir, lm_model: likewise for a language model (asr).
        options: more files to put in.
        ngram: an n-gram model (its file, or the folder of one) to decode with (asr). Stock ESPnet loads the archive
            without it: its own n-grams need the package kenlm.
        vocoder_dir, vocoder_model: likewise for a vocoder (tts). Stock loads the archive without it.
        licence: under which others may use the model, e.g. cc-by-4.0.
        decode_config: YAML of the decoding whose scores the card shows (asr): our Speech2Text uses it unless it is told
            otherwise. Stock does not read it.

    Returns:
        the names in the archive.

    Raises:
        UserError: if something is missing, or the task has no language model.
    """
    task = _known_task(task, lm_dir is not None or ngram is not None, vocoder_dir is not None)
    if decode_config is not None and task != "asr":
        raise UserError(
            f"found a decoding for {task}, expected one only for asr: drop --decode_config"
        )
    contents = Contents(licence=_one_line(licence))
    config = add_model(contents, TASKS[task], Path(model_dir), model)
    if lm_dir is not None:
        add_model(contents, LM, Path(lm_dir), lm_model)
    if ngram is not None:
        contents.own_files["ngram"] = contents.add(_ngram_file(Path(ngram)))
    if decode_config is not None:
        _add_decoding(contents, Path(decode_config))
    if vocoder_dir is not None:
        add_vocoder(contents, Path(vocoder_dir), vocoder_model)
    results = result_files(Path(model_dir))
    for path in [*results, *options]:
        contents.add(path)
    tables = [p.read_text(encoding="utf-8") for p in results if p.name == "RESULTS.md"]
    contents.texts["README.md"] = model_card(task, Path(output).name, contents, tables, config)
    write_archive(output, contents)
    return sorted({*contents.texts, *contents.sources})
