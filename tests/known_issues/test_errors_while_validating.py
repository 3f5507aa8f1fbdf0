"""An error on validation data did not say which utterances it was about."""

import pytest

from espnet_ext.errors import UserError
from tests.train.test_loop import trainer


class TooShort(UserError):
    """About the second utterance of a batch."""

    indices = (1,)


@pytest.mark.parametrize(
    ("error", "words"),
    [(TooShort("fewer frames than CTC needs"), "CTC needs; they are u1$"),
     (MemoryError("x"), "2 utterances .*does not fit into memory .*u0, u1")],
)  # fmt: skip
def test_its_utterances_are_named(tmp_path, error, words):
    found = trainer(tmp_path)
    forward = found.step.forward

    def failing(batch, extra):
        if not found.model.training:
            raise error
        return forward(batch, extra)

    found.step.forward = failing
    with pytest.raises(UserError, match=words):
        found.fit()


def test_a_loss_that_is_no_number_is_said(tmp_path, caplog):
    """Every epoch's mean is infinite then, and the first epochs would pass for the best."""
    found = trainer(tmp_path, max_epoch=1)
    found.valid_data.values = [1.0, float("inf")]
    found.fit()
    assert "the loss of 1 validation utterances is not finite" in caplog.text
    assert caplog.text.rstrip().endswith("compares epochs: u1")
