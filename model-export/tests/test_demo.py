"""The data rules of the demo trainings on small samples, and a second of the renderer's training; no network."""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from lakegen_export.export import Request, export

sys.path.insert(0, str(Path(__file__).parents[1] / "demo"))

import fashion
import make_samples
import train_captioner as captioner
import train_definitions as definitions
import train_frames as frames
import train_gan as gan
import train_groups as groups
import train_renderer as renderer
import train_topics as topics
import train_vae as vae
import wordnet

LINE = "02086723 05 n 03 {} 0 {} 0 {} 0 001 @ 02085998 n 0000 | {}  \n"


def synsets() -> list[list[definitions.Record]]:
    lines = [
        LINE.format(f"Word_{i}", f"term{i}", f"alias{i}", f'thing number {i // 2}; "an example"') for i in range(900)
    ]
    return [definitions.records_of(synset, "noun") for synset in wordnet.synsets(lines)]


def noun(number: str, gloss: str) -> str:
    """A line of a data file, in the lexicographer file of that number."""
    return LINE.format("a", "b", "c", gloss).replace(" 05 n ", f" {number} n ", 1)


def topic_parts() -> dict[str, list[topics.Sample]]:
    numbers = sorted(topics.TOPICS)
    lines = [noun(numbers[i % len(numbers)], f"a thing, thing number {i} of its kind") for i in range(900)]
    return topics.split(wordnet.synsets(lines))


def emoji() -> list[dict]:
    def entry(name: str, *codes: str) -> dict:
        variants = {code: {"image": f"{name}-{code}.png", "has_img_google": True} for code in codes}
        return {"name": name, "image": f"{name}.png", "has_img_google": True, "skin_variations": variants}

    activities = [f"ACTIVITY{i}" for i in range(60)]
    people = [entry(f"{gender} {name}", *captioner.TONES) for gender in ("MAN", "WOMAN") for name in activities]
    return [*people, entry("HANDSHAKE", "1F3FB-1F3FE", "1F3FD", "1F3FC-1F3FF"), entry("Åland & Co. Flag")]


def test_a_wordnet_line_gives_a_record_for_each_word():
    line = '01 00 s 02 galore(ip) 0 in_plenty 0 001 & 01 a 0000 | existing in abundance; "whiskey galore"  \n'
    (synset,) = wordnet.synsets([line])
    assert synset.file == "00"
    assert [record.text for record in definitions.records_of(synset, "adjective")] == [
        "galore: (adjective) existing in abundance",
        "in plenty: (adjective) existing in abundance",
    ]


@pytest.mark.parametrize("line", ["  1 This software and database\n", LINE.format("a", "b", "c", "an ethnic slur")])
def test_licence_lines_and_insults_give_no_synset(line):
    assert wordnet.synsets([line]) == []


def test_no_held_out_word_or_definition_is_in_training():
    parts = definitions.split(synsets())
    train = {record.word.lower() for record in parts["train"]}, {record.answer for record in parts["train"]}
    for name in ("validation", "test"):
        assert len(parts[name]) > 20
        assert train[0].isdisjoint(record.word.lower() for record in parts[name])
        assert train[1].isdisjoint(record.answer for record in parts[name])


def test_the_definitions_and_their_tokenizer_are_the_same_every_time():
    def prepare() -> tuple[str, list[definitions.Line]]:
        train = definitions.split(synsets())["train"]
        tokenizer = definitions.train_tokenizer((record.text for record in train), 400)
        return tokenizer.to_str(), definitions.encode(tokenizer, train)

    assert prepare() == prepare()


def test_prompt_and_answer_are_the_tokens_of_the_whole_text():
    train = definitions.split(synsets())["train"]
    tokenizer = definitions.train_tokenizer((record.text for record in train), 400)
    for record, line in zip(train, definitions.encode(tokenizer, train), strict=True):
        assert line.ids == [*tokenizer.encode(record.text).ids, 0]
        assert line.ids[: line.prompt] == tokenizer.encode(record.prompt).ids


@pytest.mark.parametrize("context", [(-1, -1), (1, 2), (2, 1), (2, 9), (9, 9)])
def test_the_trigram_sums_to_one_in_seen_and_unseen_contexts(context):
    lines = [[1, 2, 3, 0], [1, 2, 4, 0], [2, 2, 2, 0], [1, 2, 3, 3, 0], [5, 0]]
    trigram = definitions.Trigram(lines, vocabulary=10)
    probabilities = [trigram.probability(context, token) for token in range(10)]
    assert min(probabilities) > 0
    assert math.fsum(probabilities) == pytest.approx(1, abs=1e-12)


def test_the_trigram_of_a_repeated_line_expects_that_line():
    trigram = definitions.Trigram([[1, 2, 3, 0]] * 50 + [[4, 5, 6, 0]], vocabulary=10)
    line = definitions.Line([1, 2, 3, 0], prompt=1)
    assert trigram.probability((1, 2), 3) > 0.9
    assert definitions.trigram_loss(trigram, [line]) == pytest.approx(
        -(
            math.log(trigram.probability((-1, 1), 2))
            + math.log(trigram.probability((1, 2), 3))
            + math.log(trigram.probability((2, 3), 0))
        )
        / 3
    )


def test_the_topic_is_the_lexicographer_file_and_the_text_is_the_definition():
    lines = [noun("13", 'a round bread; "bagels for all"'), noun("22", "a slow change"), noun("24", "a kinship")]
    samples = [sample for part in topics.split(wordnet.synsets(lines)).values() for sample in part]
    assert sorted(samples, key=lambda sample: sample.topic) == [
        topics.Sample("a slow change", "event"),
        topics.Sample("a round bread", "food"),
    ]


def test_equal_definitions_count_once_and_not_at_all_under_two_topics():
    lines = [noun("05", "Large Frogs"), noun("05", "large frogs"), noun("05", "a head"), noun("08", "A head")]
    parts = topics.split(wordnet.synsets(lines))
    assert [sample for part in parts.values() for sample in part] == [topics.Sample("Large Frogs", "animal")]
    assert parts == topics.split(wordnet.synsets(lines[::-1]))


def test_no_held_out_definition_of_a_topic_is_in_training():
    parts = topic_parts()
    found = [sample.definition for part in parts.values() for sample in part]
    assert len(set(found)) == len(found) == 900
    assert len(parts["test"]) > 60
    assert len(parts["validation"]) > 20


def test_the_topics_tokenizer_is_the_same_every_time_and_knows_the_words():
    texts = [sample.definition for sample in topic_parts()["train"]]
    tokenizer = topics.train_tokenizer(texts, 120)
    assert topics.train_tokenizer(texts, 120).to_str() == tokenizer.to_str()
    encoded = tokenizer.encode("A thing, THING of its kind")
    assert encoded.tokens == ["[CLS]", "a", "thing", ",", "thing", "of", "its", "kind", "[SEP]"]


def test_long_definitions_are_cut_and_keep_their_last_token():
    samples = [topics.Sample("a thing " * count, "food") for count in (2, 63, 64, 200)]
    tokenizer = topics.train_tokenizer([samples[0].definition], 60)
    rows = topics.encode(tokenizer, samples)
    assert [len(row.ids) for row in rows] == [6, 128, 128, 128]
    assert rows[0].ids == tokenizer.encode(samples[0].definition).ids
    assert {row.ids[-1] for row in rows} == {tokenizer.token_to_id("[SEP]")}


def test_scores_of_a_majority_guess():
    found = topics.scores([0, 0, 0, 1], [0, 0, 0, 0])
    assert found["accuracy"] == 0.75
    assert found["f1"] == {topics.LABELS[0]: pytest.approx(6 / 7, abs=1e-4), topics.LABELS[1]: 0}
    assert found["macro_f1"] == pytest.approx(3 / 7, abs=1e-4)


def test_tf_idf_has_the_values_of_scikit_learn():
    # TfidfVectorizer(ngram_range=(1, 2), min_df=2, token_pattern=r"\w+") of scikit-learn 1.9.1.
    texts = ["a red fox", "a red hen", "a red red sea", "the sea"]
    matrix = topics.TfIdf(texts).matrix([*texts, "unknown words"]).to_dense()
    expected = [
        [0.57735, 0.57735, 0.57735, 0.0],
        [0.57735, 0.57735, 0.57735, 0.0],
        [0.364524, 0.364524, 0.729048, 0.45026],
        [0.0, 0.0, 0.0, 1.0],
        [0.0, 0.0, 0.0, 0.0],
    ]
    assert torch.allclose(matrix, torch.tensor(expected), atol=1e-5)


def test_the_linear_baseline_learns_what_a_word_tells():
    texts = ["a small fox", "a small hen", "a small oak", "a small elm"] * 5
    matrix = topics.TfIdf(texts).matrix(texts)
    expected = torch.tensor([1, 1, 2, 2] * 5)
    weights = topics.fit_linear(matrix, expected, penalty=1e-4)
    assert torch.equal(topics.linear(matrix, weights).argmax(1), expected)


def test_the_topics_model_trains_and_padding_does_not_change_its_answer(tmp_path):
    samples = topic_parts()["train"][:60]
    tokenizer = topics.train_tokenizer([sample.definition for sample in samples], 120)
    rows = topics.encode(tokenizer, samples)
    torch.manual_seed(1)
    model = topics.build(tokenizer.get_vocab_size())
    untrained = model.classifier.weight.detach().clone()
    options = argparse.Namespace(epochs=1, tokens=256, learning_rate=1e-3, hide=0.2, seed=1, float32=True)
    topics.fit(model, rows, rows[:20], options)
    assert not torch.equal(model.classifier.weight, untrained)
    assert model.config.id2label[0] == "act"
    model.eval()
    longer = topics.Row(rows[0].ids[:-1] + rows[1].ids[1:], rows[0].topic)
    with torch.no_grad():
        alone, *padded = (topics.logits(model, topics.pad(batch))[0] for batch in ([rows[0]], [rows[0], longer]))
    assert torch.allclose(alone, padded[0], atol=1e-5)


def test_no_held_out_caption_is_in_training_but_all_its_words_are():
    samples = captioner.split(emoji())
    train = {sample.caption for sample in samples if sample.part == "train"}
    known = {word for caption in train for word in caption.split()}
    for part in ("tone", "person"):
        held = {sample.caption for sample in samples if sample.part == part}
        assert len(held) > 10
        assert train.isdisjoint(held)
        assert known.issuperset(word for caption in held for word in caption.split())


def test_man_and_woman_of_one_activity_are_not_both_held_out():
    held = {sample.caption for sample in captioner.split(emoji()) if sample.part == "person"}
    assert not [caption for caption in held if captioner.counterpart(caption) in held]


def test_the_split_does_not_depend_on_the_order_of_the_entries():
    assert captioner.split(emoji()) == captioner.split(emoji()[::-1])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1F3FB", "light skin tone"),
        ("1F3FC-1F3FC", "medium light skin tone"),
        ("1F3FF-1F3FD", "dark and medium skin tones"),
    ],
)
def test_tones_are_named(code, expected):
    assert captioner.tone_words(code) == expected


def test_names_become_plain_words():
    assert captioner.words("Åland & Co. Flag") == "aland and co flag"
    assert captioner.words("KEYCAP: *") == "keycap asterisk"


def test_token_f1():
    assert captioner.token_f1("man cook", "man cook") == 1
    assert captioner.token_f1("man cook", "woman") == 0
    assert captioner.token_f1("man man cook", "man cook") == pytest.approx(0.8)


def test_the_caption_tokenizer_is_the_same_every_time_and_gives_captions_back():
    captions = [sample.caption for sample in captioner.split(emoji()) if sample.part == "train"]
    tokenizer = captioner.make_tokenizer(captions)
    assert captioner.make_tokenizer(captions[::-1]).to_str() == tokenizer.to_str()
    encoded = tokenizer.encode(captions[0]).ids
    assert (encoded[0], encoded[-1]) == (captioner.CLS, captioner.SEP)
    assert tokenizer.decode(encoded) == captions[0]


def test_the_renderer_trains_and_its_pack_can_be_exported(tmp_path):
    samples = [sample for sample in captioner.split(emoji()) if sample.part == "train"][:6]
    names = [sample.caption for sample in samples]
    tokenizer = renderer.fast_tokenizer(captioner.make_tokenizer(names))
    pictures = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    options = argparse.Namespace(
        out=tmp_path / "model", vae_minutes=0.02, minutes=0.02, batch=2, learning_rate=1e-3, seed=1, float32=True
    )
    vae = renderer.fit_vae(renderer.build_vae(), pictures, options)
    mean, _ = renderer.latents_of(vae, pictures)
    assert mean.mean((0, 2, 3)).abs().max() < 1e-4
    assert (mean * vae.config.scaling_factor).std().item() == pytest.approx(1, abs=1e-3)

    unet = renderer.build_unet()
    untrained = unet.conv_out.weight.detach().clone()
    pipeline = renderer.pipeline_of(tokenizer, renderer.build_text_encoder(len(tokenizer)), unet, vae)
    pipeline = renderer.fit(pipeline, pictures, renderer.encode(tokenizer, names), options)
    assert not torch.equal(pipeline.unet.conv_out.weight, untrained)
    renderer.save_pipeline(pipeline, options.out)
    export(Request(str(options.out), tmp_path / "pack", licence="Apache-2.0"), lambda line: None)
    assert sum(path.stat().st_size for path in (tmp_path / "pack").iterdir()) < 12_000_000


def test_centring_the_latents_leaves_the_pictures_as_they_are():
    torch.manual_seed(1)
    vae = renderer.build_vae().eval()
    pictures = torch.rand(4, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        before = vae.decode(vae.encode(pictures).latent_dist.mean).sample
        renderer.centre(vae, renderer.latents_of(vae, pictures)[0])
        after = vae.decode(vae.encode(pictures).latent_dist.mean).sample
    assert torch.allclose(before, after, atol=1e-5)


def test_the_grid_has_rendered_pictures_below_the_real_ones():
    real = torch.arange(4.0).view(4, 1, 1, 1).expand(4, 3, 5, 6) * 10
    picture = np.asarray(renderer.grid(real, real + 100, columns=2))
    assert picture.shape == (20, 12, 3)
    assert picture[::5, ::6, 1].tolist() == [[0, 10], [100, 110], [20, 30], [120, 130]]


def test_the_learning_rate_rises_then_falls():
    assert renderer.factor(0.0) == pytest.approx(0.01)
    assert renderer.factor(0.03) == pytest.approx(1, abs=0.01)
    assert renderer.factor(1.0) == pytest.approx(0.01)
    assert renderer.factor(0.4) > renderer.factor(0.6) > renderer.factor(0.9)


def test_batches_take_each_row_once_in_every_pass():
    rows = renderer.batches(10, 4, torch.Generator().manual_seed(1))
    found = torch.cat([next(rows) for _ in range(5)]).tolist()
    assert sorted(found[:10]) == sorted(found[10:]) == list(range(10))


def grouped_emoji() -> list[dict]:
    def entry(code: str, group: str, *tones: str) -> dict:
        variants = {tone: {"image": f"{code}-{tone}.png", "has_img_google": True} for tone in tones}
        return {
            "unified": code,
            "category": group,
            "image": f"{code}.png",
            "has_img_google": True,
            "skin_variations": variants,
        }

    entries = [entry("1F3FB", "Component")]
    for number in range(60):
        entries += [
            entry(f"{base}-200D-{number:04X}", "People & Body", *captioner.TONES) for base in ("1F468", "1F469")
        ]
        entries += [entry(f"{0x1F300 + 100 * i + number:X}", group) for i, group in enumerate(groups.GROUPS)]
    return entries


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("1F3C3", "1F3C3"),
        ("1F3C3-200D-2640-FE0F-200D-27A1-FE0F", "1F3C3"),
        ("1F468-200D-1F692", "1F9D1-200D-1F692"),
        ("1F468-200D-1F469-200D-1F466", "1F9D1-200D-1F9D1-200D-1F466"),
        ("1F469", "1F469"),
        ("27A1-FE0F", "27A1"),
    ],
)
def test_gender_and_direction_do_not_tell_emoji_apart(code, expected):
    assert groups.kin(code) == expected


def test_an_emoji_and_its_kin_lie_in_one_part_with_all_their_skin_tones():
    samples = groups.split(grouped_emoji())
    assert samples == groups.split(grouped_emoji()[::-1])
    assert {sample.group for sample in samples} == set(groups.GROUPS)
    parts: dict[str, set[str]] = {}
    for sample in samples:
        parts.setdefault(groups.kin(sample.emoji), set()).add(sample.part)
    assert {len(found) for found in parts.values()} == {1}
    assert 60 < sum(found == {"test"} for found in parts.values()) < 140
    people = [sample for sample in samples if sample.emoji == "1F468-200D-0001"]
    assert len(people) == 6


def test_a_held_out_picture_is_in_no_earlier_part():
    samples = [groups.Sample(f"{part}.png", part, "Flags", part) for part in ("test", "validation", "train")]
    assert groups.apart(samples, [b"a", b"b", b"c"]) == [0, 1, 2]
    assert groups.apart(samples, [b"a", b"b", b"a"]) == [1, 2]
    assert groups.apart(samples, [b"a", b"a", b"c"]) == [1, 2]


def test_an_emoji_counts_once_in_the_scores():
    flag = [groups.Sample("f.png", "f", "Flags", "test")]
    person = [groups.Sample(f"p{i}.png", "p", "People & Body", "test") for i in range(4)]
    flags, people = groups.GROUPS.index("Flags"), groups.GROUPS.index("People & Body")
    found = groups.scores(flag + person, [people, people, people, people, flags])
    assert found["accuracy"] == pytest.approx(0.75 / 2)
    # Of people 0.75 are found and 1.75 are called so: F1 = 2 * 0.75 / (1 + 1.75).
    assert found["f1"] == {"Flags": 0, "People & Body": pytest.approx(1.5 / 2.75, abs=1e-4)}
    assert found["macro_f1"] == pytest.approx(0.75 / 2.75, abs=1e-4)


def test_the_nearest_picture_is_looked_for_on_white():
    black, white = torch.zeros(64, 64, 4, dtype=torch.uint8), torch.full((64, 64, 4), 255, dtype=torch.uint8)
    black[..., 3] = 255
    transparent = torch.zeros(64, 64, 4, dtype=torch.uint8)
    assert groups.nearest(torch.stack([black, white]), torch.stack([transparent, black])) == [1, 0]


def test_symbols_and_flags_are_not_mirrored():
    rgba = torch.zeros(64, 64, 64, 4, dtype=torch.uint8)
    rgba[:, :, :32, 0] = 255
    rgba[..., 3] = 255
    for mirror in (False, True):
        views = groups.augment(rgba, torch.full((64,), mirror), torch.Generator().manual_seed(1))
        left = (views[:, 0, 24:40, 16:28].mean((1, 2)) > views[:, 0, 24:40, 36:48].mean((1, 2))).sum()
        assert (left == 64) == (not mirror)
        assert left > 16


def test_the_group_classifier_trains_and_its_pack_can_be_exported(tmp_path):
    samples = [sample for sample in groups.split(grouped_emoji()) if sample.part == "train"][:80]
    rgba = torch.randint(256, (80, 64, 64, 4), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    data = groups.Data(samples, rgba)
    torch.manual_seed(1)
    model = groups.build()
    untrained = model.classifier[1].weight.detach().clone()
    options = argparse.Namespace(
        out=tmp_path / "model", steps=2, batch=8, mix=0.5, learning_rate=1e-3, weight_decay=0.05, seed=1, float32=True
    )
    groups.fit(model, data, data, options)
    assert not torch.equal(model.classifier[1].weight, untrained)
    groups.save(model, options.out)
    export(Request(str(options.out), tmp_path / "pack", licence="Apache-2.0"), lambda line: None)
    assert sum(path.stat().st_size for path in (tmp_path / "pack").iterdir()) < 800_000


def test_emoji_of_the_demo_are_four_of_each_group_and_held_out():
    samples = groups.split(grouped_emoji())
    found = make_samples.groups(samples)
    assert found == make_samples.groups(samples[::-1])
    assert [line["group"] for line in found] == [group for group in groups.GROUPS for _ in range(4)]
    parts = {f"groups/{sample.file}": sample for sample in samples}
    assert {parts[line["file"]].part for line in found} == {"test"}
    assert len({parts[line["file"]].emoji for line in found}) == len(found)


def test_prompts_of_the_demo_are_half_held_out_and_the_same_for_any_order():
    samples = captioner.split(emoji())
    found = make_samples.pictures(samples)
    assert found == make_samples.pictures(samples[::-1])
    parts = {sample.caption: sample.part for sample in samples}
    assert [parts[line["prompt"]] for line in found] == [line["part"] for line in found]
    assert [line["part"] for line in found].count("train") == 6


def test_definitions_of_the_demo_are_three_of_each_topic():
    found = make_samples.definitions(topic_parts()["train"])
    assert found == make_samples.definitions(topic_parts()["train"][::-1])
    assert [line["topic"] for line in found].count("food") == 3
    assert len(found) == 3 * len(topics.LABELS)


def garments(count: int) -> fashion.Part:
    images = torch.rand(count, 1, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    return fashion.Part(images, torch.arange(count) % len(fashion.CLASSES))


def seconds(batch: int) -> argparse.Namespace:
    return argparse.Namespace(minutes=0.01, batch=batch, learning_rate=1e-3, seed=1)


def small_pack(model: Path, out: Path) -> None:
    export(Request(str(model), out, licence="MIT"), lambda line: None)
    assert sum(path.stat().st_size for path in out.iterdir()) < 500_000


def test_the_autoencoder_trains_and_its_pack_can_be_exported(tmp_path):
    part = garments(20)
    encoder, decoder = vae.Encoder(), vae.Decoder()
    untrained = decoder.layers[0].weight.detach().clone()
    assert vae.fit(encoder, decoder, part.images, seconds(4)) > 0
    assert not torch.equal(decoder.layers[0].weight, untrained)
    assert set(vae.measure(encoder, decoder, part.images, part.images)) > {"psnr", "divergence_nats"}
    config = {"model_type": "vae", "latent": vae.LATENT, "image_size": 32, "channels": 1}
    fashion.save(tmp_path / "model", config, {"encoder": encoder, "decoder": decoder}, {})
    small_pack(tmp_path / "model", tmp_path / "pack")
    assert vae.picture(encoder, decoder, part).size == (2 * 10 * 34, 2 * 4 * 34)


def test_the_gan_trains_and_its_pack_can_be_exported(tmp_path):
    part = garments(20)
    generator, discriminator, seen = gan.fit(part, seconds(4))
    assert seen > 0
    config = {"model_type": "gan", "latent": gan.LATENT, "image_size": 32, "channels": 1, "classes": 10}
    fashion.save(tmp_path / "model", config, {"generator": generator, "discriminator": discriminator}, {})
    small_pack(tmp_path / "model", tmp_path / "pack")


def test_sets_of_equal_features_have_no_distance_and_shifted_ones_that_of_their_means():
    features = torch.randn(500, 4, generator=torch.Generator().manual_seed(1))
    assert gan.distance(features, features) == pytest.approx(0, abs=1e-3)
    assert gan.distance(features, features + 2) == pytest.approx(16, abs=1e-2)


def test_the_next_frame_model_trains_and_its_pack_can_be_exported(tmp_path):
    model = frames.Predictor(4)
    assert frames.fit(model, garments(20).images, seconds(2)) > 0
    fashion.save(
        tmp_path / "model", {"model_type": "next-frame", "image_size": 32, "channels": 1}, {"model": model}, {}
    )
    small_pack(tmp_path / "model", tmp_path / "pack")


def test_sprites_stay_in_the_frame_and_move():
    found = frames.clips(torch.ones(2, 1, 32, 32), 6, 12, torch.Generator().manual_seed(1))
    assert found.shape == (6, 12, 1, 32, 32)
    lit = (found == 1).flatten(2).sum(2)
    assert (lit <= 2 * frames.SPRITE**2).all()
    assert (lit >= frames.SPRITE**2).all()
    assert not torch.equal(found[:, 0], found[:, 1])
