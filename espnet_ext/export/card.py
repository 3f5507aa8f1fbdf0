"""The README of a packed model: what it is, how to use it, how good it is."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from espnet_ext.export.archive import Contents, versions

_TAGS = {"asr": "automatic-speech-recognition", "tts": "text-to-speech", "vocoder": "vocoder"}
_NAMES = {"asr": "Speech recogniser", "tts": "Speech synthesiser", "vocoder": "Vocoder"}
_USE = {
    "asr": """import soundfile
from espnet_model_zoo.downloader import ModelDownloader
from espnet2.bin.asr_inference import Speech2Text

speech2text = Speech2Text(**ModelDownloader().unpack_local_file("{name}"))
samples, rate = soundfile.read("speech.wav")
text, *_ = speech2text(samples)[0]
print(text)""",
    "tts": """import soundfile
from espnet_model_zoo.downloader import ModelDownloader
from espnet2.bin.tts_inference import Text2Speech

text2speech = Text2Speech(**ModelDownloader().unpack_local_file("{name}"))
wav = text2speech("Hello world")["wav"]
soundfile.write("speech.wav", wav.numpy(), text2speech.fs)""",
    "vocoder": """import numpy
import soundfile
import torch
from espnet_model_zoo.downloader import ModelDownloader
from espnet_ext.inference.vocoder import Vocoder

vocoder = Vocoder(**ModelDownloader().unpack_local_file("{name}"))
mel = torch.from_numpy(numpy.load("mel.npy"))  # (frames, bins), as vocoder.features says
soundfile.write("speech.wav", vocoder(mel).numpy(), vocoder.features.fs)""",
}

_OWN_USE = {
    "asr": """from espnet_ext.inference.speech2text import Speech2Text

print(Speech2Text.from_pretrained("{name}")("speech.wav").text)""",
    "tts": """import soundfile
from espnet_ext.inference.text2speech import Text2Speech

text2speech = Text2Speech.from_pretrained("{name}")
soundfile.write("speech.wav", text2speech("Hello world").wave, text2speech.rate)""",
}


def model_card(
    task: str,
    name: str,
    contents: Contents,
    results: Sequence[str],
    config: Mapping[str, Any] | None = None,
) -> str:
    """The text of README.md, with the header that model hubs read.

    Args:
        task: asr, tts or vocoder.
        name: file name of the archive.
        contents: what is in it.
        results: RESULTS.md tables to put in.
        config: the model's config.yaml.
    """
    named = {**contents.yaml_files, **contents.files, **contents.own_files}
    files = _items(named)
    scores = "\n\n".join(_deeper(text) for text in results) or "No results were packed."
    return f"""---
tags:
- espnet
- audio
- {_TAGS[task]}
library_name: espnet
{_licence(contents.licence)}---

# {_NAMES[task]} {name.removesuffix(".zip")}

`import espnet_ext` first if the configuration names modules as `package.module:Class`.

```python
{_USE[task].format(name=name)}
```
{_own_use(task, name, contents)}
## Files

{files}

## Text and sound

{_items(_settings(config or {})) or "As the configuration says."}

## Made with

{_items({"python": sys.version.split()[0], **versions()})}

## Results

{scores}
"""


def _own_use(task: str, name: str, contents: Contents) -> str:
    """How to use what stock ESPnet does not know of."""
    if not contents.own_files:
        return ""
    known = ", ".join(f"`{key}`" for key in contents.own_files)
    code = _OWN_USE[task].format(name=name)
    return f"\nESPnet alone leaves {known} out; `espnet_ext` takes all:\n\n```python\n{code}\n```\n"


def _items(named: Mapping[str, Any]) -> str:
    return "\n".join(f"- `{key}`: `{value}`" for key, value in named.items())


def _licence(licence: str | None) -> str:
    """Lines of the header: hubs know licences by identifiers such as apache-2.0, others by a name of their own."""
    if licence is None:
        return ""
    if re.fullmatch("[A-Za-z0-9.-]+", licence):
        return f"license: {licence.lower()}\n"
    return f"license: other\nlicense_name: {json.dumps(licence)}\n"


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a user has to know of the text that the model reads or writes, and of its sound."""
    found = {key: config[key] for key in ("token_type", "cleaner", "g2p") if config.get(key)}
    if isinstance(config.get("token_list"), list):
        found["tokens"] = len(config["token_list"])
    for key in ("frontend_conf", "feats_extract_conf"):
        if (config.get(key) or {}).get("fs"):
            found["sampling rate"] = config[key]["fs"]
    return found


def _deeper(text: str) -> str:
    """Headings of a table one level down, its own first heading dropped."""
    lines = [line for line in text.strip().splitlines() if line != "# RESULTS"]
    return "\n".join("#" + line if line.startswith("#") else line for line in lines).strip()
