"""What `init` writes loads as it is, and so does each choice that stands in it as a comment; so do the shipped configs."""

import json
import re
from pathlib import Path

import pytest

from pipeline.config import load_config, read_yaml
from pipeline.config.starter import json_schema, starter
from pipeline.simulate import read_script

CONFIGS = Path(__file__).parents[2] / "configs"
# What the simulator plays; the others are jobs.
SCRIPTS = sorted(CONFIGS.glob("rehearse-*.yaml"))
JOBS = sorted(set(CONFIGS.glob("*.yaml")) - set(SCRIPTS))
STORIES = {
    "caption-a-folder",
    "caption-from-urls",
    "caption-openai-vision",
    "caption-segmind",
    "caption-webdataset",
    "demo-captions",
    "demo-questions",
    "evaluation-set",
    "text-local-vllm",
}


def load(tmp_path: Path, text: str):
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


@pytest.mark.parametrize("provider", ["segmind", "openai"])
@pytest.mark.parametrize("images", [True, False])
def test_what_init_writes_loads(tmp_path, provider, images):
    config = load(tmp_path, starter(provider, images=images))
    assert config.endpoint.provider == provider
    assert bool(config.prompt.images) == images


@pytest.mark.parametrize("provider", ["segmind", "openai"])
@pytest.mark.parametrize("images", [True, False])
def test_each_choice_in_a_comment_loads_once_it_is_none(tmp_path, provider, images):
    lines = starter(provider, images=images).splitlines()
    choices = [number for number, line in enumerate(lines) if re.match(r" *# [a-z_]+: ", line)]
    assert len(choices) >= 4
    for number in choices:
        chosen = [re.sub(r"^( *)# ", r"\1", line) if at == number else line for at, line in enumerate(lines)]
        if "messages" in lines[number]:  # instead of user, as its comment says
            chosen = [line for line in chosen if not line.strip().startswith("user:")]
        load(tmp_path, "\n".join(chosen))


def test_every_story_has_its_config():
    assert {path.stem for path in JOBS} >= STORIES
    assert SCRIPTS


@pytest.mark.parametrize("path", JOBS, ids=lambda path: path.stem)
def test_every_config_that_is_shipped_loads_and_says_in_its_first_line_what_it_is_for(path):
    config = load_config(path)
    assert config.output.place.is_relative_to(CONFIGS.parent / "out")
    assert all(Path(each).is_relative_to(CONFIGS.parent / "data") for each in config.input.path)
    assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_that_is_shipped_can_be_played_and_so_can_each_choice_in_a_comment(path, tmp_path):
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    chosen = re.sub(r"^# (- | {2}\w+:)", r"  \1", text, flags=re.MULTILINE)
    (tmp_path / "all.yaml").write_text(chosen, encoding="utf-8")
    shipped, every = (read_script(read_yaml(each), each.name).episodes for each in (path, tmp_path / "all.yaml"))
    assert 3 < len(shipped) < len(every)


def test_the_schema_describes_every_key():
    schema = json.loads(json_schema())
    sections = [schema, *schema["$defs"].values()]
    keys = {(section["title"], name): key for section in sections for name, key in section["properties"].items()}
    assert len(keys) > 40
    assert [place for place, key in keys.items() if not key.get("description")] == []
    assert all(section["additionalProperties"] is False for section in sections)


def test_the_schema_lets_one_text_stand_for_a_list():
    schema = json.loads(json_schema())
    assert {"type": "string"} in schema["$defs"]["Input"]["properties"]["path"]["anyOf"]
