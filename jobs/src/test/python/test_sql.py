"""SQL functions with only the shaded jar added: in PySpark, spark-sql, spark-shell, a Thrift server and a cluster."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from conftest import ENVIRONMENT, ROOT, SPARK_HOME, daemon
from pyspark.errors import AnalysisException
from pyspark.sql import Row, SparkSession
from pyspark.sql.functions import udf

JAR = ROOT / "jobs/target/lakegen-jobs.jar"
CONF = ROOT / "conf/sql.conf"
QUERIES = re.findall(r"^```sql\n(.*?)^```", (ROOT / "docs/sql.md").read_text(), re.MULTILINE | re.DOTALL)
# Packs of untrained models, for tasks that no sample model does.
FIXTURES = ROOT / "inference/src/test/resources/fixtures"
PICTURES = "SELECT path, content FROM binaryFile.`sample-data/images/{}`"
# No Hive catalogue, which would make a Derby database, and no web page.
QUIET = {"spark.sql.catalogImplementation": "in-memory", "spark.ui.enabled": "false"}
SETTINGS = [word for name, value in QUIET.items() for word in ("--conf", f"{name}={value}")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Looks like the repository for relative paths, and takes what Spark's programs leave behind."""
    folder = tmp_path_factory.mktemp("sql")
    for name in ("sample-data", "jobs", "conf"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def spark(folder: Path) -> Iterator[SparkSession]:
    builder = SparkSession.builder.master("local[2]").config("spark.jars", str(JAR))
    for line in CONF.read_text().splitlines():
        if line.startswith("spark."):
            builder = builder.config(*line.split(maxsplit=1))
    for setting in QUIET.items():
        builder = builder.config(*setting)
    before = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.update({name: ENVIRONMENT[name] for name in ("SPARK_LOCAL_IP", "PYSPARK_PYTHON")})
    session = builder.config("spark.sql.shuffle.partitions", "2").getOrCreate()
    yield session
    session.stop()
    os.chdir(before[0])
    os.environ.clear()
    os.environ.update(before[1])


def test_ai_embed_gives_the_jobs_vectors(spark: SparkSession, texts: Path, local_run: pa.Table) -> None:
    rows = spark.sql(f"SELECT id, ai_embed(text) AS vector FROM json.`{texts}`").collect()
    found = {row.id: row.vector for row in rows}
    expected = dict(zip(local_run["id"].to_pylist(), local_run["embedding"].to_pylist(), strict=True))
    assert len(rows) == len(expected)
    # Which rows share a batch, and so the last bits, depends on the partitions.
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), atol=1e-4, rtol=0)


def test_ai_classify_finds_topics(spark: SparkSession) -> None:
    found = spark.sql("SELECT topic, ai_classify(definition) AS label FROM json.`sample-data/text/definitions.jsonl`")
    rows = found.collect()
    pack = json.loads((ROOT / "sample-data/models/topics-distilbert/pack.json").read_text())
    assert {row.label for row in rows} <= set(pack["tasks"]["text-classification"]["labels"])
    # What the classify job's page says of this sample is far above chance.
    assert sum(row.topic == row.label for row in rows) > len(rows) / 2


def test_ai_complete_does_not_depend_on_partitions(spark: SparkSession) -> None:
    query = """
        SELECT word, ai_complete(concat(word, ':'), options => map('max_new_tokens', '8', 'do_sample', 'true')) AS text
        FROM (SELECT /*+ REPARTITION({}) */ word FROM json.`sample-data/prompts/words.jsonl` WHERE id < 'w033')"""
    one, three = (sorted(spark.sql(query.format(n)).collect()) for n in (1, 3))
    assert len(one) == 32
    assert one == three
    assert len({row.text for row in one}) > 16


def test_ai_caption_names_pictures_and_a_broken_one_is_null(spark: SparkSession) -> None:
    names = [json.loads(line) for line in (ROOT / "sample-data/images/names.jsonl").read_text().splitlines()]
    rows = spark.sql(f"SELECT path, ai_caption(content) AS caption FROM ({PICTURES.format('emoji/*.png')})").collect()
    captions = {Path(row.path).name: row.caption for row in rows}
    right = sum(captions[Path(name["file"]).name] == name["name"] for name in names)
    print(f"{right} of {len(names)} names")
    # The page of the caption job says 69.5 %.
    assert right > 0.65 * len(names)
    broken = f"SELECT ai_caption(content{{}}) AS c FROM ({PICTURES.format('broken/text.png')})"
    assert spark.sql(broken.format("")).head().c is None
    with_error = spark.sql(broken.format(", options => map('on_error', 'struct')")).head().c
    assert (with_error.value, with_error.error.type) == (None, "not_an_image")


def test_ai_render_gives_a_picture_that_ai_caption_reads(spark: SparkSession) -> None:
    drawn = "ai_render('woman running', options => map('num_inference_steps', '8', 'seed', '1'))"
    row = spark.sql(f"SELECT p, ai_caption(p) AS caption FROM (SELECT {drawn} AS p)").head()
    assert bytes(row.p).startswith(b"\x89PNG")
    assert row.caption
    assert spark.sql(f"SELECT {drawn} AS p").head().p == row.p


def test_ai_classify_tells_the_groups_of_pictures(spark: SparkSession) -> None:
    rows = spark.sql(f"""
        SELECT path, ai_classify(content, 'sample-data/models/emoji-groups') AS label
        FROM ({PICTURES.format("groups/*.png")})""").collect()
    lines = (ROOT / "sample-data/images/groups.jsonl").read_text().splitlines()
    groups = {Path(line["file"]).name: line["group"] for line in map(json.loads, lines)}
    assert len(rows) == len(groups)
    assert sum(groups[Path(row.path).name] == row.label for row in rows) > len(rows) / 2


def test_ai_embed_takes_pictures_and_texts_of_one_space(spark: SparkSession) -> None:
    rows = spark.sql(f"""
        SELECT ai_embed(content, '{FIXTURES}/clip/pack') AS p, ai_embed('a photo', '{FIXTURES}/clip/pack') AS t
        FROM ({PICTURES.format("photos/*.jpg")})""").collect()
    assert rows
    for row in rows:
        np.testing.assert_allclose([np.linalg.norm(row.p), np.linalg.norm(row.t)], 1, atol=1e-5)
        assert len(row.p) == len(row.t)


def test_ai_answer_gives_a_part_of_the_context(spark: SparkSession) -> None:
    rows = spark.sql(f"""
        SELECT definition, ai_answer(definition, concat('what is ', id), '{FIXTURES}/distilbert-answers/pack',
                                     map('result', 'struct')) AS r
        FROM json.`sample-data/text/definitions.jsonl` LIMIT 20""").collect()
    assert [row.definition[row.r.start : row.r.end] for row in rows] == [row.r.answer for row in rows]
    assert all(0 < row.r.score <= 1 for row in rows)


def test_ai_match_scores_a_picture_and_a_text(spark: SparkSession) -> None:
    rows = spark.sql(f"""
        SELECT ai_match(content, 'a red boat', '{FIXTURES}/blip-matching/pack',
                        map('heat_map', 'true', 'result', 'struct')) AS r
        FROM ({PICTURES.format("photos/*.jpg")})""").collect()
    assert rows
    for row in rows:
        assert 0 <= row.r.itm_score <= 1
        assert -1 <= row.r.itc_score <= 1
        assert row.r.words == ["a", "red", "boat"]
        assert {len(values) for values in row.r.maps} == {row.r.map_height * row.r.map_width}


def test_ai_encode_and_ai_decode_are_each_others_inverse(spark: SparkSession) -> None:
    vae = "'sample-data/models/fashion-vae'"
    rows = spark.sql(f"""
        SELECT ai_encode(image, {vae}) AS latents,
               ai_encode(ai_decode(ai_encode(image, {vae}), {vae}), {vae}) AS again
        FROM (SELECT ai_sample(seed, label, 'sample-data/models/fashion-gan') AS image
              FROM json.`sample-data/prompts/seeds.jsonl`)""").collect()
    latents, again = (np.array([row[i] for row in rows]) for i in range(2))
    assert len(rows) > 10
    own = np.linalg.norm(latents - again, axis=1)
    others = np.linalg.norm(latents[:, None] - latents, axis=2)
    np.fill_diagonal(others, np.inf)
    print(
        f"latents after a round trip: {own.mean():.2f} away; of the nearest other picture: {others.min(1).mean():.2f}"
    )
    assert np.median(own) < np.median(others.min(axis=1))


def test_ai_sample_is_the_same_for_the_same_seed(spark: SparkSession) -> None:
    call = "ai_sample({}, 3, 'sample-data/models/fashion-gan')"
    row = spark.sql(f"SELECT {call.format(1)} AS a, {call.format(2)} AS b").head()
    assert bytes(row.a).startswith(b"\x89PNG")
    assert row.a != row.b
    assert spark.sql(f"SELECT {call.format(1)} AS a").head().a == row.a


def test_ai_next_frame_takes_an_array_of_pictures(spark: SparkSession) -> None:
    rows = spark.sql("""
        SELECT clip, ai_next_frame(frames, 'sample-data/models/moving-convlstm') AS image
        FROM (SELECT regexp_extract(path, '(\\\\d+)-\\\\d+.png', 1) AS clip,
                     transform(sort_array(collect_list(struct(path, content))), f -> f.content) AS frames
              FROM binaryFile.`sample-data/clips/frames/*.png` GROUP BY 1)""").collect()
    assert len(rows) == len((ROOT / "sample-data/clips/clips.jsonl").read_text().splitlines())
    assert all(bytes(row.image).startswith(b"\x89PNG") for row in rows)


def test_ai_similarity_is_a_cosine(spark: SparkSession) -> None:
    query = "SELECT ai_embed('{}') AS a, ai_embed('{}') AS b, ai_similarity(ai_embed('{}'), ai_embed('{}')) AS s"
    pairs = ("a cold drink", "a cup of iced tea"), ("a cold drink", "the roof of a church")
    rows = [spark.sql(query.format(*pair, *pair)).head() for pair in pairs]
    np.testing.assert_allclose([row.s for row in rows], [np.dot(row.a, row.b) for row in rows], atol=1e-6)
    assert rows[0].s > rows[1].s


def test_functions_of_python_stand_below_and_above(spark: SparkSession) -> None:
    spark.udf.register("shorter", udf(lambda text: text[:20], "string"))
    spark.udf.register("size_of", udf(lambda vector: len(vector), "int"))
    rows = spark.sql("SELECT size_of(ai_embed(shorter(text))) AS n FROM json.`sample-data/text/texts.jsonl` LIMIT 3")
    assert rows.collect() == [Row(n=384)] * 3


def test_a_wrong_call_is_an_analysis_exception(spark: SparkSession) -> None:
    with pytest.raises(AnalysisException, match="did you mean max-new-tokens"):
        spark.sql("SELECT ai_complete('a', options => map('max_new_token', '3'))")
    with pytest.raises(AnalysisException, match="no/such/pack"):
        spark.sql("SELECT ai_embed('a', 'no/such/pack')")


def test_functions_describe_themselves(spark: SparkSession) -> None:
    names = [row.function for row in spark.sql("SHOW FUNCTIONS LIKE 'ai_*'").collect()]
    assert len(names) == 12
    for name in names:
        said = "\n".join(row[0] for row in spark.sql(f"DESCRIBE FUNCTION EXTENDED {name}").collect())
        assert f"{name}(" in said
        assert "Arguments:" in said


@pytest.mark.parametrize("query", QUERIES, ids=[query.split("\n", 1)[0] for query in QUERIES])
def test_queries_of_the_documentation(spark: SparkSession, query: str) -> None:
    *before, last = [part for part in query.split(";") if part.strip()]
    for statement in before:
        spark.sql(statement)
    rows = spark.sql(last).collect()
    for row in rows[:3]:
        print(str(row)[:200])
    assert rows
    assert all(value is not None for value in rows[0])


def run(folder: Path, *command: str | Path, text: str | None = None) -> str:
    process = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, input=text, capture_output=True, text=True, timeout=600
    )
    print(process.stderr[-5000:])
    assert process.returncode == 0
    return process.stdout


ON_TWO_CORES = ("--master", "local[2]", "--driver-memory", "1g", "--jars", JAR, "--properties-file", CONF, *SETTINGS)
LABELS = (
    "SELECT id, ai_classify(definition) AS label FROM json.`sample-data/text/definitions.jsonl` ORDER BY id LIMIT 3"
)


@pytest.fixture(scope="module")
def labels(spark: SparkSession) -> list[list[str]]:
    return [list(row) for row in spark.sql(LABELS).collect()]


def test_spark_sql(folder: Path, labels: list[list[str]]) -> None:
    said = run(folder, SPARK_HOME / "bin/spark-sql", *ON_TWO_CORES, "-e", LABELS)
    assert [line.split("\t") for line in said.splitlines()] == labels


def test_spark_shell_and_a_session_that_runs_already(folder: Path, labels: list[list[str]]) -> None:
    program = f"""
        io.lakegen.spark.LakegenFunctions.register(spark)
        spark.sql("{LABELS}").collect().foreach(row => println("row " + row.mkString(" ")))
    """
    without = ("--conf", "spark.sql.extensions=")
    said = run(folder, SPARK_HOME / "bin/spark-shell", *ON_TWO_CORES, *without, text=program)
    assert re.findall(r"\brow (d\d+) (\w+)$", said, re.MULTILINE) == [tuple(row) for row in labels]


def test_a_jdbc_client_through_the_thrift_server(folder: Path, labels: list[list[str]]) -> None:
    server = (
        "org.apache.spark.deploy.SparkSubmit",
        *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"),
        *map(str, ON_TWO_CORES),
        "spark-internal",
        *("--hiveconf", "hive.server2.thrift.bind.host=127.0.0.1", "--hiveconf", "hive.server2.thrift.port=0"),
    )
    with daemon(
        folder / "thrift.log", r"Starting ThriftBinaryCLIService on port (\d+)", *server, cwd=folder, memory="1g"
    ) as started:
        url = f"jdbc:hive2://127.0.0.1:{started[1]}"
        options = ("--silent=true", "--outputformat=tsv2", "--showHeader=false")
        said = run(folder, SPARK_HOME / "bin/beeline", "-u", url, *options, "-e", LABELS)
    # Its prompt stands before the first row.
    assert re.findall(r"(\S+)\t(\S+)$", said, re.MULTILINE) == [tuple(row) for row in labels], said


def test_a_cluster_that_has_only_the_jar(
    cluster: tuple[str, list[Path]], folder: Path, labels: list[list[str]]
) -> None:
    on_cluster = ["--master", cluster[0], "--executor-memory", "1g", *ON_TWO_CORES[2:]]
    said = run(
        folder,
        SPARK_HOME / "bin/spark-sql",
        *on_cluster,
        "-e",
        LABELS.replace("sample-data", str(ROOT / "sample-data")),
    )
    assert [line.split("\t") for line in said.splitlines()] == labels
