"""Past bug: of `--set seed=1 --set max_epoch=2` only the last was heard, and the training had another seed."""

from espnet_ext.bin.command import Parser


def test_every_value_of_a_repeated_option_is_heard():
    parser = Parser("something")
    parser.add_argument("--set", nargs="*", default=[])
    parser.add_argument("--text", nargs="+", required=True)
    parser.add_argument("--specials", nargs="*", default=())
    given = "--set a=1 --text x y --set b=2 c=3 --text z --specials u --specials v".split()
    found = parser.parse_args(given)
    assert (found.set, found.text, found.specials) == (
        ["a=1", "b=2", "c=3"],
        ["x", "y", "z"],
        ["u", "v"],
    )
    assert parser.parse_args(["--text", "x"]).set == []


def test_a_default_gives_way():
    parser = Parser("something")
    parser.add_argument("--factors", nargs="+", default=["1.0"])
    assert parser.parse_args(["--factors", "0.9"]).factors == ["0.9"]
