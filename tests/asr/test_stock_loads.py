"""Stock ESPnet builds, loads and decodes with our model and decoder after `import espnet_ext`."""

import subprocess
import sys

import numpy as np
import pytest

MODEL = {
    "model": "espnet_ext.asr.model:HybridModel",
    "model_conf": {
        "ctc_weight": {"from": 0.9, "to": 0.3, "updates": 4},
        "cr_ctc_weight": 0.2,
        "report_cer": False,
        "report_wer": False,
    },
    "decoder": "espnet_ext.asr.decoder:CachedTransformerDecoder",
    "max_epoch": 1,
}
STOCK = """
import sys, numpy, espnet_ext
from espnet2.bin.asr_inference import Speech2Text
engine = Speech2Text(f"{sys.argv[1]}/config.yaml", sys.argv[2], beam_size=3, ctc_weight=0.3)
assert type(engine.asr_model).__module__ == "espnet_ext.asr.model"
wave = 0.1 * numpy.sin(numpy.arange(8000) * 0.5).astype("float32")
text, tokens, ids, hypothesis = engine(wave)[0]
print(ids, float(hypothesis.score))
"""


@pytest.mark.slow
def test_stock_espnet_decodes_the_same(tiny, tmp_path):
    from espnet_ext.inference.speech2text import DecodeOptions, Speech2Text
    from espnet_ext.train.run import train_model

    weights = train_model("asr", tiny.places("asr", tmp_path, MODEL), "cpu")[0]
    done = subprocess.run(
        [sys.executable, "-c", STOCK, tmp_path, weights], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    options = DecodeOptions(beam_size=3, ctc_weight=0.3)
    engine = Speech2Text(tmp_path / "config.yaml", weights, options=options)
    found = engine(0.1 * np.sin(np.arange(8000) * 0.5).astype(np.float32))[0]
    assert float(done.stdout.split()[-1]) == pytest.approx(found.score, abs=1e-3)
