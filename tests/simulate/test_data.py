"""The sample data: real pictures with origin and licence, captions, questions. All that the demo and the README promise of it."""

import csv
import io
import runpy
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

DATA = Path(__file__).parents[2] / "data"
PHOTOS = sorted((DATA / "photos").iterdir())


@pytest.fixture(scope="module")
def table():
    return pq.read_table(DATA / "photos.parquet")


@pytest.fixture(scope="module")
def questions():
    with (DATA / "questions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_there_are_at_least_a_dozen_different_photographs(table):
    assert table.num_rows == len(PHOTOS) >= 12
    assert len(set(table["photo"].to_pylist())) == table.num_rows


def test_the_table_is_made_from_the_files_beside_it(table):
    assert runpy.run_path(str(DATA / "make.py"))["photos"]().equals(table)
    assert sorted(table["photo"].to_pylist()) == sorted(path.read_bytes() for path in PHOTOS)


def test_the_shard_is_made_from_the_files_beside_it():
    assert runpy.run_path(str(DATA / "make.py"))["shard"]() == (DATA / "photos-000000.tar").read_bytes()


def test_the_columns_are_those_the_demo_asks_for(table, questions):
    assert table.column_names == ["photo", "title", "category", "caption_a", "caption_b"]
    assert list(questions[0]) == ["id", "question", "answer", "kind"]


@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_each_photograph_is_a_small_jpeg_with_its_origin_in_the_readme(path):
    data = path.read_bytes()
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
        picture.load()
        assert max(picture.size) <= 512
    assert f"| `{path.name}` |" in (DATA / "README.md").read_text(encoding="utf-8")


def test_each_photograph_has_two_captions_of_its_own(table):
    captions = [caption for name in ("caption_a", "caption_b") for caption in table[name].to_pylist()]
    assert len(set(captions)) == 2 * table.num_rows
    assert all(6 <= len(caption.split()) <= 40 for caption in captions)


def test_there_are_at_least_sixty_questions_with_short_answers(questions):
    assert len(questions) >= 60
    assert len({row["question"] for row in questions}) == len(questions)
    assert len({row["id"] for row in questions}) == len(questions)
    assert {row["kind"] for row in questions} == {"arithmetic", "look-up"}
    assert all(1 <= len(row["answer"]) <= 40 for row in questions)


def test_the_questions_hold_what_breaks_careless_readers(questions):
    assert questions[0]["id"] == "001"
    for each in (",", '"', "\n"):
        assert any(each in row["question"] for row in questions)


def test_all_together_it_is_a_few_hundred_kilobytes():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 700_000
