"""What a model brings besides weights: tokenizer, image processor, generation defaults, licence."""

import json
import re
from pathlib import Path

import yaml
from transformers import AutoImageProcessor, AutoTokenizer
from transformers.utils import cached_file

GOLDEN_TEXTS = (
    "A small red boat on a quiet lake.",
    "  Two spaces, CAPITALS & a tab\there\u2026",
    "na\u00efve caf\u00e9, \u6e56 and \U0001f6f6 3.14159",
    "x",
)


class Tokenizer:
    """A fast tokenizer as `tokenizer.json`, padding and truncation left to the caller."""

    FILE = "tokenizer.json"

    def __init__(self, tokenizer, max_length: int):
        if not tokenizer.is_fast:
            raise ValueError(
                f"tokenizer: {type(tokenizer).__name__} (expected: a fast tokenizer, one with a tokenizer.json)"
            )
        self.tokenizer = tokenizer
        self.max_length = max_length

    @classmethod
    def load(cls, source: str, **kwargs) -> "Tokenizer":
        """With the tokenizer's own limit in tokens, which is a huge number where none is known."""
        tokenizer = AutoTokenizer.from_pretrained(source, **kwargs)
        return cls(tokenizer, tokenizer.model_max_length)

    def within(self, context: int) -> "Tokenizer":
        """The same tokenizer for a model that sees so many tokens."""
        return Tokenizer(self.tokenizer, min(context, self.max_length))

    def write(self, out: Path) -> None:
        backend = self.tokenizer.backend_tokenizer
        backend.no_padding()
        backend.no_truncation()
        backend.save(str(out / self.FILE))

    def manifest(self, template: str | None = None) -> dict:
        """`template`: what stands around a user's text, where it isn't the tokenizer's own."""
        tokenizer = {"file": self.FILE, "maxLength": self.max_length}
        if template is None and getattr(self.tokenizer, "chat_template", None):
            template = self._chat_template()
        return tokenizer if template is None else {**tokenizer, "chatTemplate": template}

    def _chat_template(self) -> str:
        """The template rendered for one user message; the place of the message is `{prompt}`."""
        messages = [{"role": "user", "content": "{prompt}"}]
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if text.count("{prompt}") != 1:
            raise ValueError(f"chat_template: {text!r} (expected: the user's message once)")
        return text

    def golden(self) -> list[dict]:
        limits = {"truncation": True, "max_length": self.max_length}
        return [{"text": text, "ids": self.tokenizer(text, **limits)["input_ids"]} for text in GOLDEN_TEXTS]


def image_processor(source: str, **kwargs):
    """The model's own image processor in its PIL form."""
    return AutoImageProcessor.from_pretrained(source, backend="pil", **kwargs)


def generation(config, context: int) -> dict:
    """The "generation" part of `pack.json` from a transformers GenerationConfig."""
    eos = config.eos_token_id
    found = {
        "bos": config.bos_token_id,
        "eos": eos if isinstance(eos, list) or eos is None else [eos],
        "pad": config.pad_token_id,
        "decoderStart": config.decoder_start_token_id,
        "forcedBos": config.forced_bos_token_id,
        "forcedEos": config.forced_eos_token_id,
        "suppress": config.suppress_tokens,
    }
    return {**{key: value for key, value in found.items() if value is not None}, "maxLength": context}


def read_json(source: str, name: str):
    """The content of a JSON file of a model, None where it has no such file."""
    path = cached_file(source, name, _raise_exceptions_for_missing_entries=False)
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))


def licence(source: str) -> str:
    """The licence that the model card's front matter names."""
    card = cached_file(source, "README.md", _raise_exceptions_for_missing_entries=False)
    if card is None:
        return "unknown"
    front = re.match(r"---\n(.*?)\n---", Path(card).read_text(encoding="utf-8"), re.DOTALL)
    return str((yaml.safe_load(front.group(1)) or {}).get("license", "unknown")) if front else "unknown"
