"""Of a batch with a loss that is no number the first eight utterances were named, whichever was the bad one."""

import pytest

from espnet_ext.errors import UserError
from tests.train.test_loop import Line, trainer

BAD = (*map(float, range(1, 12)), float("nan"))


def test_it_is_named_alone(tmp_path, caplog):
    model = Line(dropout=0.5)
    trainer(tmp_path / "a", batch=12, values=BAD, max_epoch=1, model=model).fit()
    assert "update 1 left out: loss nan, gradient not finite; batch ['u11']" in caplog.text
    with pytest.raises(UserError, match=r"on a batch of 12 utterances, .* look at u11, or lower"):
        trainer(tmp_path / "b", batch=12, values=BAD, not_finite="stop").fit()


def test_where_nobody_can_tell_all_are_named(tmp_path, caplog):
    class Together(Line):
        """Wants two utterances at least."""

        def forward(self, x):
            assert len(x) > 1
            return super().forward(x)

    values = (1.0, float("inf"), 3.0, 4.0)
    found = trainer(tmp_path, batch=4, values=values, max_epoch=1, model=Together())
    found.fit()
    assert "batch ['u0', 'u1', 'u2', 'u3']" in caplog.text and found.model.training is False
