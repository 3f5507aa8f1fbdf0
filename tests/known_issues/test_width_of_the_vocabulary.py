"""With as many tokens as a layer is wide, and another token list, every such layer got its rows in another order."""

import torch
import yaml

from espnet_ext.train.initial import load_initial


class Square(torch.nn.Module):
    """Four tokens, width four."""

    def __init__(self):
        super().__init__()
        self.embed = torch.nn.Sequential(torch.nn.Embedding(4, 4))
        self.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4)])
        self.norm, self.out = torch.nn.LayerNorm(4), torch.nn.Linear(4, 4)


def test_only_rows_of_tokens_are_moved(tmp_path):
    given, model = Square(), Square()
    torch.nn.init.uniform_(given.norm.weight)
    torch.save(given.state_dict(), tmp_path / "a.pth")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"token_list": list("abcd")}))
    load_initial(model, [str(tmp_path / "a.pth")], list("dcba"))
    turned = [3, 2, 1, 0]
    assert torch.equal(model.embed[0].weight, given.embed[0].weight[turned])
    assert torch.equal(model.out.weight, given.out.weight[turned])
    assert torch.equal(model.out.bias, given.out.bias[turned])
    assert torch.equal(model.layers[0].weight, given.layers[0].weight)
    assert torch.equal(model.layers[0].bias, given.layers[0].bias)
    assert torch.equal(model.norm.weight, given.norm.weight)
