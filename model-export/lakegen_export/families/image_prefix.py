"""Pictures as tokens at the head of a causal decoder: BLIP-2 and vision-language models of LLaVA's kind.

    encoder: pixels float32 [B, 3, h, w], cache -> logits float32 [B, V] of the token after the prefix; fills slots
             0..N-1 of every row with the prefix: the tokens that stand before the picture, and the picture's own
    decoder: as in `lakegen_export.slots`; the position of a token is its slot

`tokenizer.chatTemplate` of the pack is what stands after the picture, with `{prompt}` in it.
"""

import copy
import inspect
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from .. import golden
from .. import slots as slot
from ..golden import Step
from ..source import generation
from . import traits
from .base import Family, Graph
from .decoding import CacheLayout, DecoderSession, example_inputs, kept, tokens


class _Call:
    """How a model, or a copy of it, is called."""

    def __init__(self, model: Any):
        self.model = model
        text = getattr(model, "language_model", None)
        # BLIP-2 wants a picture in every call; the language model inside it doesn't.
        self.text = text if text is not None and text.get_output_embeddings() is not None else model
        # Models that cut pictures into tiles have an axis for them.
        names = inspect.signature(model.forward).parameters
        self.tiles = "pixel_attention_mask" in names
        # In models of this kind the tokens of a picture see each other.
        self.types = "token_type_ids" in names

    def inputs(self, ids: torch.Tensor, pixels: torch.Tensor, image: int) -> dict:
        """What the model's own processor would give it."""
        found = {"input_ids": ids, "pixel_values": pixels[:, None] if self.tiles else pixels}
        return {**found, "token_type_ids": (ids == image).long()} if self.types else found


class _Encoder(torch.nn.Module):
    def __init__(self, model, head: slot.Head, prefix: list[int], dtype: torch.dtype):
        super().__init__()
        self.model = model
        self.call = _Call(model)
        self.head = head
        self.register_buffer("prefix", torch.tensor([prefix]))
        self.image = prefix[-1]
        self.dtype = dtype

    def forward(self, pixels, cache):
        ids = self.prefix.expand(pixels.shape[0], -1)
        slots = torch.arange(ids.shape[1], device=cache.device).expand(ids.shape)
        self.head.last = slots[:, -1]
        view = cache[:, :, :, :, : self.prefix.shape[1]]
        inputs = self.call.inputs(ids, pixels.to(self.dtype), self.image)
        past = slot.SlotCache(view, slots)
        logits = self.model(**inputs, position_ids=slots, past_key_values=past, use_cache=True).logits
        return logits[:, 0].float()


class _Decoder(torch.nn.Module):
    def __init__(self, model, head: slot.Head, context: int):
        super().__init__()
        self.model = _Call(model).text
        self.head = head
        self.context = context

    def forward(self, input_ids, slots, last, cache):
        self.head.last = last
        positions = slot.positions(slots, 0, self.context)
        past = slot.SlotCache(cache, slots)
        logits = self.model(input_ids=input_ids, position_ids=positions, past_key_values=past, use_cache=True).logits
        return logits[:, 0].float()


class ImagePrefix(Family):
    task: ClassVar[str] = "image-to-text"
    images: ClassVar[bool] = True
    heads: ClassVar[tuple[str, ...]] = ("ForConditionalGeneration",)

    @classmethod
    def build(cls, request, source, tokenizer, **kwargs):
        reference = cls.load(source, **kwargs)
        prefix, template = _prompt(AutoProcessor.from_pretrained(source, **kwargs), tokenizer, reference.config)
        return cls(reference, request.dtype, prefix, template)

    @staticmethod
    def load(source, **kwargs):
        return AutoModelForImageTextToText.from_pretrained(source, dtype=torch.float32, **kwargs).eval()

    def __init__(self, reference, dtype, prefix: list[int], template: str | None = None):
        super().__init__(reference, dtype)
        traits.use_whole_attention(reference)
        self.prefix = prefix
        self.template = template
        self.whole = traits.context(reference.config)
        self.context = self.whole - len(prefix)
        if self.context < 1:
            raise ValueError(f"picture: {len(prefix)} tokens (expected: fewer than the context of {self.whole})")
        self.call = _Call(reference)
        with torch.no_grad():
            output = self.call.text(input_ids=torch.tensor([self.ids(2, 1)]), use_cache=True)
        self.layout = CacheLayout.of(kept(output))

    def ids(self, length: int, seed: int) -> list[int]:
        """Tokens of text alone."""
        own = set(self.prefix)
        usable = [token for token in range(self.reference.config.get_text_config().vocab_size) if token not in own]
        return [usable[token] for token in tokens(len(usable), length, seed)]

    def cache_shape(self, rows: int, slots: int) -> tuple[int, ...]:
        return self.layout.shape(rows, slots)

    def pixel_shape(self, rows: int) -> tuple[int, ...]:
        size = getattr(getattr(self.reference.config, "vision_config", None), "image_size", None)
        if not isinstance(size, int):
            raise ValueError(f"image_size: {size} (expected: a model for square pictures of one size)")
        return rows, 3, size, size

    def graphs(self):
        shape = self.cache_shape(2, len(self.prefix) + 8)
        pixels = golden.tensor(golden.sine("pixels", self.pixel_shape(2)))
        model = copy.deepcopy(self.reference).to(self.dtype)
        slot.use(model)
        traits.prepare(model)
        head = slot.Head(_Call(model).text)
        inputs = {"pixels": pixels, "cache": torch.zeros(*shape, dtype=self.cache_dtype)}
        return {
            "encoder": Graph(_Encoder(model, head, self.prefix, self.dtype), inputs),
            "decoder": Graph(
                _Decoder(model, head, self.whole), example_inputs(shape, self.cache_dtype, len(self.prefix))
            ),
        }

    def manifest(self):
        return {
            "cache": self.layout.manifest(len(self.prefix)),
            "generation": generation(self.reference.generation_config, self.context),
        }

    def chat_template(self) -> str | None:
        return self.template

    def session(self, rows: int, slots: int) -> DecoderSession:
        """A session whose first step encodes `rows` pictures."""
        pixels = golden.sine("pixels", self.pixel_shape(rows))
        pictures = golden.tensor(pixels)
        shape = self.cache_shape(rows, len(self.prefix) + slots)

        def logits(ids: list[int], row: int) -> torch.Tensor:
            whole = torch.tensor([[*self.prefix, *ids]])
            inputs = self.call.inputs(whole, pictures[row : row + 1], self.prefix[-1])
            return self.reference(**inputs).logits[0, -1]

        with torch.no_grad():
            first = torch.stack([logits([], row) for row in range(rows)]).float()
        cache = golden.zeros("cache", self.cache_dtype, shape)
        return DecoderSession(
            logits,
            shape,
            self.cache_dtype,
            len(self.prefix),
            before=[Step("encoder", [pixels, cache], [first], "the picture")],
            cache=golden.cache_of(0),
        )

    def sessions(self) -> list[list[Step]]:
        ids = self.ids
        unequal = self.session(3, 16)
        unequal.advance(ids(5, 1), ids(1, 2), ids(3, 3)).advance(ids(1, 4), ids(1, 5), ids(1, 6))
        unequal.refill(1).advance(ids(1, 7), ids(4, 8), ids(1, 9))
        single = self.session(1, 5).advance(ids(1, 4)).advance(ids(1, 5)).advance(ids(3, 6))
        return [unequal.steps, single.steps]


def _prompt(processor: Any, tokenizer: Any, config: Any) -> tuple[list[int], str]:
    """The tokens up to the end of the picture, and the text after it, with `{prompt}` for the user's."""
    picture = Image.fromarray(np.zeros((64, 64, 3), dtype=np.uint8))
    text = "{prompt}"
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": text}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
    ids = processor(images=[picture], text=[text], return_tensors="np")["input_ids"][0].tolist()
    image = getattr(config, "image_token_id", None)
    places = [place for place, token in enumerate(ids) if token == image]
    if not places or places[-1] - places[0] + 1 != len(places):
        raise ValueError(f"picture: {len(places)} tokens in pieces (expected: one run of the token {image})")
    tail = ids[places[-1] + 1 :]
    after = tokenizer.decode(tail, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    again = tokenizer(after, add_special_tokens=False)["input_ids"]
    if again != tail or after.count("{prompt}") != 1:
        raise ValueError(f"prompt: {after!r} after the picture (expected: the user's text once, of the same tokens)")
    return ids[: places[-1] + 1], after
