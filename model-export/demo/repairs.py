"""The picture of what `render` repaired: docs/tasks/repairs.png.

Takes the output of a job over sample-data/prompts/repairs.jsonl; needs pyarrow besides the exporter's requirements. A
column shows the real picture, what its mask keeps (grey is painted anew), and the rendered one.
"""

import argparse
import io
import json
from pathlib import Path

import pyarrow.dataset
from PIL import Image

PROMPTS = Path(__file__).resolve().parents[2] / "sample-data/prompts"
SIDE = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="the job's")
    parser.add_argument("--out", type=Path, required=True, help="the PNG file to write")
    options = parser.parse_args()
    table = pyarrow.dataset.dataset(list(options.output.glob("run_id=*/chunk=*/*.parquet"))).to_table(["id", "image"])
    rendered = {row["id"]: Image.open(io.BytesIO(row["image"])) for row in table.to_pylist()}
    rows = [json.loads(line) for line in (PROMPTS / "repairs.jsonl").read_text(encoding="utf-8").splitlines()]
    grid = Image.new("RGB", (SIDE * len(rows), SIDE * 3), "white")
    for column, row in enumerate(rows):
        picture = Image.open(PROMPTS / row["picture"]).convert("RGBA")
        real = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
        kept = Image.composite(Image.new("RGB", real.size, "grey"), real, Image.open(PROMPTS / row["mask"]))
        for line, image in enumerate((real, kept, rendered[row["id"]])):
            grid.paste(image, (SIDE * column, SIDE * line))
    grid.save(options.out, optimize=True)


if __name__ == "__main__":
    main()
