"""A batch with NaN left its NaN in the running figures of batch normalisation: every validation after it was NaN."""

import torch

from tests.train.test_loop import trainer


class Normed(torch.nn.Module):
    """Batch normalisation, and a counter of batches."""

    def __init__(self):
        super().__init__()
        self.norm, self.w = torch.nn.BatchNorm1d(1), torch.nn.Linear(1, 1)
        torch.nn.init.constant_(self.w.weight, 0.5)
        torch.nn.init.zeros_(self.w.bias)

    def forward(self, x):
        loss = (self.w(self.norm(x)) - 1).square().mean()
        return loss, {"loss": loss.detach()}, torch.tensor(float(len(x)))


def test_running_figures_are_those_of_the_updates_that_were_made(tmp_path):
    nan = float("nan")
    values = (1.0, 2.0, nan, 4.0, 3.0, 5.0)
    found = trainer(tmp_path / "a", values=values, model=Normed(), max_epoch=3)
    found.fit()
    clean = trainer(tmp_path / "b", values=(1.0, 2.0, 3.0, 5.0), model=Normed(), max_epoch=3)
    clean.fit()
    assert found.progress.at.skipped == 3
    assert torch.equal(found.model.norm.running_mean, clean.model.norm.running_mean)
    assert torch.equal(found.model.norm.running_var, clean.model.norm.running_var)
    valid = [line["loss"] for line in found.history if line["split"] == "valid"]
    assert valid == [line["loss"] for line in clean.history if line["split"] == "valid"]
