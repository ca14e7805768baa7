"""Export from a GGUF file, as llama.cpp stores a model."""

import json

import gguf
import torch

from fixtures import tiny
from lakegen_export.export import Request, export
from lakegen_export.pack import load


def permute(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp interleaves the two halves of each rotary head."""
    rows, columns = weight.shape
    return weight.view(heads, 2, rows // heads // 2, columns).transpose(1, 2).reshape(rows, columns)


def write(model, tokenizer, path) -> None:
    config = model.config
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)

    inner = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    tokens = sorted(inner["vocab"], key=inner["vocab"].get)
    tokens += [f"<unused{i}>" for i in range(config.vocab_size - len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in inner["merges"]])
    writer.add_bos_token_id(tiny.BOS)
    writer.add_eos_token_id(tiny.EOS)

    def add(name: str, weight: torch.Tensor) -> None:
        writer.add_tensor(name, weight.detach().contiguous().numpy())

    add("token_embd.weight", model.model.embed_tokens.weight)
    add("output_norm.weight", model.model.norm.weight)
    add("output.weight", model.lm_head.weight)
    for i, layer in enumerate(model.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        add(f"blk.{i}.attn_norm.weight", layer.input_layernorm.weight)
        add(f"blk.{i}.ffn_norm.weight", layer.post_attention_layernorm.weight)
        add(f"blk.{i}.attn_q.weight", permute(attention.q_proj.weight, config.num_attention_heads))
        add(f"blk.{i}.attn_k.weight", permute(attention.k_proj.weight, config.num_key_value_heads))
        add(f"blk.{i}.attn_v.weight", attention.v_proj.weight)
        add(f"blk.{i}.attn_output.weight", attention.o_proj.weight)
        add(f"blk.{i}.ffn_gate.weight", mlp.gate_proj.weight)
        add(f"blk.{i}.ffn_up.weight", mlp.up_proj.weight)
        add(f"blk.{i}.ffn_down.weight", mlp.down_proj.weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_gives_the_logits_of_the_model_it_was_made_from(tmp_path):
    model, tokenizer = tiny.llama(3), tiny.byte_level_bpe(320)
    write(model, tokenizer, tmp_path / "tiny.gguf")

    export(Request(str(tmp_path / "tiny.gguf"), tmp_path / "pack", licence="Apache-2.0"), lambda line: None)

    spec = json.loads((tmp_path / "pack" / "pack.json").read_text(encoding="utf-8"))
    assert spec["family"] == "llama"
    assert spec["cache"] == {"layers": 2, "heads": 2, "headDim": 8, "prefix": 0, "commonPrefix": True}
    assert spec["generation"]["eos"] == [tiny.EOS]
    assert spec["source"] == {"id": "tiny.gguf", "revision": "local", "licence": "Apache-2.0"}
    names = ["input_ids", "slots", "last", "cache", "common_keys", "common_values", "offset"]
    decoder = load(tmp_path / "pack" / "decoder.pt", names)
    ids = torch.tensor([[5, 90, 17, 300]])
    with torch.no_grad():
        logits = decoder(
            input_ids=ids,
            slots=torch.arange(4)[None],
            last=torch.tensor([3]),
            cache=torch.zeros(2, 2, 1, 2, 6, 8),
            common_keys=torch.zeros(2, 2, 0, 8),
            common_values=torch.zeros(2, 2, 8, 0),
            offset=torch.tensor([0]),
        )[0]
        expected = model(ids).logits[:, -1]
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-4)
