"""What a table of speech says of utterances that have no figure, and of sets too small for an interval."""

from dataclasses import dataclass

import pytest

from espnet_ext.metrics.compare_speech import compare, text_of
from espnet_ext.metrics.provenance import provenance
from espnet_ext.metrics.speech_tables import cell, left_out, means
from espnet_ext.metrics.tts import ideal
from espnet_ext.metrics.tts_report import SpeechScores, write_results


@dataclass(frozen=True)
class Figures:
    mcd: float
    f0_deviation: float | None
    pesq: float | None = None

    def as_dict(self):
        return vars(self)


SET = {"u1": Figures(4.0, 10.0), "u2": Figures(5.0, None), "u3": Figures(6.0, 20.0)}
METRICS = ("mcd", "f0_deviation", "pesq")


def test_a_mean_says_of_how_many_it_is():
    found = means(list(SET.values()), METRICS, 50, 0)
    assert cell(found["mcd"], 1, 3).startswith("5.0 [") and "of 3" not in cell(found["mcd"], 1, 3)
    assert cell(found["f0_deviation"], 1, 3).endswith("] (2 of 3)")
    assert cell(found["pesq"], 1, 3) == "-"
    assert left_out("dev", SET, METRICS) == [
        "dev: not known of u2, which the means leave out: F0 dev. [%]."
    ]


def test_one_utterance_has_no_interval():
    found = means([SET["u1"]], METRICS, 50, 0)
    assert found["mcd"]["interval_95"] is None and cell(found["mcd"], 1, 1) == "4.0"
    row = {name: {"mcd": value} for name, value in (("u1", 4.0), ("u2", 5.0))}
    one = compare({"u1": row["u1"]}, {"u1": row["u2"]}, 50)
    assert "|MCD [dB]|1|4.00|5.00|-1.00|-|" in text_of(one)
    assert " to " in text_of(compare(row, row, 50))


def test_results_name_what_was_not_said_and_what_is_not_known(tmp_path):
    from dataclasses import replace

    whole = ideal(16000)
    scores = {f"u{n}": whole for n in range(8)}
    scores |= {f"u{n}": replace(whole, f0_deviation=None, f0_correlation=None) for n in range(7)}
    found = SpeechScores("dev", scores, ("u8", "u9"))
    table = write_results(tmp_path, [found], provenance("score_tts", []), samples=20)
    assert "|0.0 (1 of 8)|1.000 (1 of 8)|" in table
    assert "dev: not synthesised: u8, u9." in table
    assert (
        "dev: not known of u0, u1, u2, u3, u4 and 2 more, which the means leave out: "
        "F0 dev. [%], F0 corr." in table
    )
    assert table.strip() in (tmp_path / "RESULTS.md").read_text()


@pytest.mark.parametrize("sentences", [0, 2])
def test_a_table_of_old_figures_is_shown_as_it_was(sentences):
    assert cell({"mean": 1.0, "interval_95": (0.5, 1.5)}, 1, sentences) == "1.0 [0.5, 1.5]"
