"""Rules of filter_data and the tables of measures."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espnet_ext.errors import UserError
from espnet_ext.quality.rules import Rule, derived, parse_rule, read_measures, read_problems


@given(
    st.sampled_from(["snr", "cps", "clip_run"]),
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.integers(-99, 99),
    st.sampled_from(["", " ", "\t"]),
)
def test_a_rule_comes_back(name, sign, value, space):
    rule = parse_rule(f"{space}{name}{space}{sign}{space}{value}")
    assert rule == Rule(name, sign, value) == parse_rule(str(rule))
    for found in (value - 1, value, value + 1):
        stays = rule.reason({name: found}) == ""
        assert stays == eval(f"{found}{sign}{value}")


@given(st.text(max_size=12))
def test_any_text_is_a_rule_or_refused(text):
    try:
        parse_rule(text)
    except UserError as error:
        assert "such as" in str(error)


@pytest.mark.parametrize("text", ["snr", "snr>=", ">=10", "snr=10", "snr>=1.2.3", "snr>=10 or 1"])
def test_what_is_no_rule(text):
    with pytest.raises(UserError, match="expected NAME SIGN NUMBER"):
        parse_rule(text)


def test_what_is_not_known_does_not_stay():
    assert "unknown" in parse_rule("snr<=10").reason({"snr": math.nan})
    assert "unknown" in parse_rule("snr<=10").reason({})
    assert derived(2.0, "a bc")["cps"] == 2 and math.isnan(derived(2.0, None)["cps"])


def test_tables_of_measures(tmp_path):
    path = tmp_path / "audit.tsv"
    path.write_text("utt\tsnr\tproblems\na\t12.5\tnoisy\nb\t\t\n")
    found = dict(read_measures(path, ["snr"]))
    assert found["a"] == {"snr": 12.5} and math.isnan(found["b"]["snr"])
    with pytest.raises(UserError, match="no column wada"):
        dict(read_measures(path, ["wada"]))
    assert dict(read_problems(path)) == {"a": {"noisy"}, "b": {""}}
    for name in ("problems", "digest"):
        with pytest.raises(UserError, match=f"found {name}, which holds no numbers"):
            dict(read_measures(path, [name]))
    path.write_text("utt\tsnr\na\tloud\n")
    with pytest.raises(UserError, match="'loud', expected numbers"):
        dict(read_measures(path, ["snr"]))
    path.write_text("utt\tsnr\na\n")
    with pytest.raises(UserError, match="line 2: found 1 fields, expected 2"):
        dict(read_measures(path, ["snr"]))
    path.write_text("")
    with pytest.raises(UserError, match="no column"):
        dict(read_measures(path, ["snr"]))
    with pytest.raises(UserError, match="not found"):
        dict(read_measures(tmp_path / "no.tsv", ["snr"]))
    for order in ("b\t1\t\na\t2\t\n", "a\t1\t\na\t2\t\n"):
        path.write_text("utt\tsnr\tproblems\n" + order)
        with pytest.raises(UserError, match=r"line 3: found 'a' after '.'"):
            dict(read_problems(path))
