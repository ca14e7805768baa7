"""What models of no library must keep to."""

import re

import pytest
import torch

from fixtures import tiny
from lakegen_export.export import Request, export


def attempt(tmp_path, config: dict, modules: dict[str, torch.nn.Module], message: str) -> None:
    folder = tiny.save_contract(config, modules, tmp_path / "model")
    with pytest.raises(ValueError, match=re.escape(message)):
        export(Request(str(folder), tmp_path / "pack"), lambda _line: None)
    assert not (tmp_path / "pack").exists()


def test_a_file_is_missing(tmp_path):
    config, modules = tiny.vae(1)
    attempt(tmp_path, config, {"encoder": modules["encoder"]}, "decoder.pt: missing (expected: a TorchScript file in")


def test_an_image_has_another_size(tmp_path):
    config, modules = tiny.dcgan(1)
    message = "generator: gives [(1, 3, 32, 32)] (expected: [(1, 3, 64, 64)])"
    attempt(tmp_path, {**config, "image_size": 64}, {"generator": modules["generator"]}, message)


def test_a_key_is_wrong(tmp_path):
    config, modules = tiny.dcgan(1)
    attempt(tmp_path, {**config, "latent": "many"}, modules, "config.json: latent many (expected: int)")


class Traced(torch.nn.Module):
    """A model whose loop was traced with two frames."""

    def __init__(self):
        super().__init__()
        self.model = torch.jit.trace(tiny.next_frame(1)[1]["model"], torch.zeros(1, 2, 3, 32, 32))

    def forward(self, frames):
        return self.model(frames[:, :2])


def test_a_traced_loop_over_frames_is_told(tmp_path):
    config, _ = tiny.next_frame(1)
    attempt(tmp_path, config, {"model": Traced()}, "model.pt: the last of 4 frames changes nothing")


def test_a_contract_needs_no_texts(exported):
    spec = exported("gan").spec
    assert "tokenizer" not in spec
    assert spec["tasks"] == {"unconditional-image-generation": {"latent": 8, "classes": 3, "truncation": True}}
