"""The weights of a layer's self-attention against transformers."""

import pytest
import torch
from transformers import AutoModel


@pytest.mark.parametrize("name", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("engine", ["PyTorch", "OnnxRuntime"])
def test_other_shapes_than_traced_equal_the_model(exported, name, engine):
    pack = exported(name, attention_layer=1, engine=engine)
    model = AutoModel.from_pretrained(pack.source, dtype=torch.float32, attn_implementation="eager").eval()
    generator = torch.Generator().manual_seed(1)
    lengths = torch.tensor([9, 3, 17, 1])
    ids = torch.randint(4, 320, (4, 17), generator=generator)
    mask = (torch.arange(17) < lengths[:, None]).long()
    with torch.no_grad():
        hidden, weights = pack.graphs["attention"](input_ids=ids, attention_mask=mask)
        for row, length in enumerate(lengths.tolist()):
            found = model(input_ids=ids[row : row + 1, :length], output_attentions=True)
            expected = found.attentions[1][0].mean(0)
            torch.testing.assert_close(weights[row, :length, :length], expected, rtol=0, atol=1e-5)
            assert not weights[row, length:].any()
            assert not weights[row, :, length:].any()
            torch.testing.assert_close(weights[row, :length].sum(-1), torch.ones(length), rtol=0, atol=1e-5)
            torch.testing.assert_close(hidden[row, :length], found.last_hidden_state[0], rtol=0, atol=1e-4)
