"""A capital C or L after a title or a king's name was taken for a Roman numeral of nothing, and ended the command."""

import pytest

from espnet_ext.text.spoken import Speaker


@pytest.mark.parametrize(
    "text, said",
    [
        ("Type C", "Type C"),
        ("Appendix C", "Appendix C"),
        ("James Cook sailed in 1768.", "James Cook sailed in seventeen sixty-eight."),
        ("George Clooney: 62", "George Clooney: sixty-two"),
        ("level C1", "level C one"),
    ],
)
def test_it_is_read_as_it_stands(text, said):
    assert Speaker("regex")(text) == said
