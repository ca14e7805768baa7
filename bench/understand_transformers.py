"""The other side of `./lakegen bench understand`: the pipelines of transformers.

    python bench/understand_transformers.py prepare FOLDER
    python bench/understand_transformers.py answer|classify|embed|zero-shot FOLDER --from I --to J

`prepare` makes models of the sizes of DistilBERT, ViT-small, DINOv2-small and CLIP ViT-B/32 with random weights,
exports them, and makes texts and photographs; all of it is the same in every run. The others print one JSON line.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
ROWS, PHOTOS = 160, 120
TEXT_BATCH, PHOTO_BATCH = 8, 16
LABELS = ["boat", "house", "cat", "man", "tree", "river", "dog", "car", "table", "flower"]
MODELS = {"answer": "distilbert", "classify": "vit", "embed": "dinov2", "zero-shot": "clip"}


def save_tokenizer(folder: Path, length: int) -> None:
    import transformers as hf

    sys.path.insert(0, str(ROOT / "model-export"))
    from demo.wordpiece import CLS, SEP, wordpiece
    from tokenizers import processors

    words = sorted({word.strip(".,;:!?\"'()").lower() for text in sample_texts() for word in text.split()})
    letters = [chr(code) for code in range(33, 127)]
    tokenizer = wordpiece([*letters, *(f"##{letter}" for letter in letters), *words])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("unk", "pad", "cls", "sep")}
    hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **names).save_pretrained(folder)


def sample_texts() -> list[str]:
    lines = (ROOT / "sample-data/text/texts.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


def make_models(folder: Path) -> None:
    import torch
    import transformers as hf

    torch.manual_seed(0)
    small = {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536}
    square = {"size": {"height": 224, "width": 224}}
    cropped = {"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}
    labels = {number: f"class {number}" for number in range(1000)}
    made = {
        "distilbert": (hf.DistilBertForQuestionAnswering(hf.DistilBertConfig()), None, 512),
        "vit": (
            hf.ViTForImageClassification(hf.ViTConfig(**small, id2label=labels)),
            hf.ViTImageProcessorPil(**square),
            None,
        ),
        "dinov2": (
            hf.Dinov2Model(hf.Dinov2Config(hidden_size=384, num_attention_heads=6, patch_size=14, image_size=518)),
            hf.BitImageProcessorPil(**cropped),
            None,
        ),
        "clip": (
            hf.CLIPModel(hf.CLIPConfig(text_config={"eos_token_id": 3, "pad_token_id": 0})),
            hf.CLIPImageProcessorPil(size={"shortest_edge": 224}),
            77,
        ),
    }
    for name, (model, processor, length) in made.items():
        source, pack = folder / name, folder / f"pack-{name}"
        if not source.exists():
            model.eval().save_pretrained(source)
            if processor is not None:
                processor.save_pretrained(source)
            if length is not None:
                save_tokenizer(source, length)
            (source / "README.md").write_text("---\nlicense: apache-2.0\n---\nRandom weights.\n", encoding="utf-8")
        if not pack.exists():
            command = [sys.executable, "-m", "lakegen_export", "--model", str(source), "--out", str(pack)]
            subprocess.run(command, cwd=ROOT / "model-export", check=True)


def make_rows(folder: Path) -> None:
    """Questions with contexts of 5 to 700 words, the shorter the more."""
    random = np.random.default_rng(0)
    words = [word for text in sample_texts() for word in text.split()]
    with (folder / "questions.jsonl").open("w", encoding="utf-8") as file:
        for number in range(ROWS):
            length = int(np.exp(random.uniform(np.log(5), np.log(700))))
            start = int(random.integers(0, len(words)))
            context = " ".join(words[(start + i) % len(words)] for i in range(length))
            question = " ".join(words[(start + 7 * i) % len(words)] for i in range(int(random.integers(3, 12))))
            file.write(json.dumps({"id": number, "question": question + "?", "context": context}) + "\n")


def prepare(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    make_models(folder)
    make_rows(folder)
    from caption_transformers import save_photos, sizes

    save_photos(folder / "photographs", sizes(PHOTOS))


def pipeline(name: str, folder: Path):
    """The pipeline of a job, as a function of a list of inputs that gives what counts of each."""
    import transformers as hf

    source = folder / MODELS[name]
    if name == "answer":
        options = json.loads((source / "tokenizer_config.json").read_text())
        options.pop("tokenizer_class", None)
        options["model_input_names"] = ["input_ids", "attention_mask"]
        tokenizer = hf.PreTrainedTokenizerFast(tokenizer_file=str(source / "tokenizer.json"), **options)
        model = hf.AutoModelForQuestionAnswering.from_pretrained(source)
        ask = hf.pipeline("question-answering", model=model, tokenizer=tokenizer)
        return lambda rows: [one["answer"] for one in _list(ask(rows, batch_size=TEXT_BATCH))]
    processor = hf.AutoImageProcessor.from_pretrained(source, backend="pil")
    if name == "classify":
        model = hf.AutoModelForImageClassification.from_pretrained(source)
        see = hf.pipeline("image-classification", model=model, image_processor=processor)
        return lambda paths: [one[0]["label"] for one in see(paths, batch_size=PHOTO_BATCH)]
    if name == "embed":
        model = hf.AutoModel.from_pretrained(source)
        see = hf.pipeline("image-feature-extraction", model=model, image_processor=processor)
        return lambda paths: [one[0] for one in see(paths, batch_size=PHOTO_BATCH, pool=True)]
    model, tokenizer = hf.AutoModel.from_pretrained(source), hf.AutoTokenizer.from_pretrained(source)
    see = hf.pipeline("zero-shot-image-classification", model=model, tokenizer=tokenizer, image_processor=processor)
    return lambda paths: [one[0]["label"] for one in see(paths, candidate_labels=LABELS, batch_size=PHOTO_BATCH)]


def _list(answers) -> list:
    return answers if isinstance(answers, list) else [answers]


def run(name: str, folder: Path, start: int, end: int) -> dict:
    if name == "answer":
        lines = (folder / "questions.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [{key: value for key, value in json.loads(line).items() if key != "id"} for line in lines]
        names = [str(number) for number in range(len(rows))]
    else:
        paths = sorted((folder / "photographs").glob("*.jpg"))
        rows, names = [str(path) for path in paths], [path.name for path in paths]
    call = pipeline(name, folder)
    call(rows[:PHOTO_BATCH])
    clock, processor_time = time.perf_counter(), time.process_time()
    found = call(rows[start:end])
    return {
        "seconds": time.perf_counter() - clock,
        "cpuSeconds": time.process_time() - processor_time,
        "results": dict(zip(names[start:end], found, strict=True)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("step", choices=["prepare", *MODELS])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--from", dest="start", type=int, default=0)
    parser.add_argument("--to", dest="end", type=int, default=0)
    options = parser.parse_args()
    if options.step == "prepare":
        prepare(options.folder.resolve())
        return
    if options.step == "answer" and "LAKEGEN_TRANSFORMERS_4" not in os.environ:
        # transformers 5 has no such pipeline.
        sys.path.insert(0, str(ROOT / "model-export"))
        from fixtures.answers import packages

        environment = {**os.environ, "LAKEGEN_TRANSFORMERS_4": "1", "PYTHONPATH": str(packages())}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)
    print(json.dumps(run(options.step, options.folder, options.start, options.end)))


if __name__ == "__main__":
    main()
