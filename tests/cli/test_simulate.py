"""rowcall simulate, as far as it goes without listening: options, the list of faults, scripts that are refused."""

import pytest

from pipeline.cli import simulate
from pipeline.simulate import Script, SimulatorSettings


@pytest.fixture
def settings(monkeypatch) -> list[SimulatorSettings]:
    """Take what would be played, and listen to nobody."""
    taken: list[SimulatorSettings] = []

    def run_forever(settings: SimulatorSettings, **_: object) -> dict[str, object]:
        taken.append(settings)
        return {}

    monkeypatch.setattr(simulate, "run_forever", run_forever)
    return taken


def test_the_list_of_faults_is_printed(rowcall):
    ended = rowcall("simulate", "--faults-list")
    assert ended.code == 0
    for name in ("hang", "no_choices", "insufficient_quota", "201 … 599"):
        assert f"\n  {name} " in ended.out


def test_a_share_alone_means_faults_that_pass_and_names_mean_those(rowcall, settings):
    assert rowcall("simulate", "-q", "--faults", "0.1").code == 0
    assert rowcall("simulate", "-q", "--faults", "0.2:hang, 418").code == 0
    assert [(each.faults, each.fault_names) for each in settings] == [
        (0.1, ("429", "500", "502", "503", "reset", "cut")),
        (0.2, ("hang", "418")),
    ]


def test_a_script_is_played(rowcall, settings, tmp_path):
    (tmp_path / "night.yaml").write_text("episodes:\n- when: {from_s: 5, requests: 100-}\n  then: hang\n")
    assert rowcall("simulate", "-q", "--script", "night.yaml").code == 0
    assert isinstance(settings[0].script, Script)
    assert [each.name for each in settings[0].script.episodes] == ["1 hang"]


@pytest.mark.parametrize(
    ("faults", "named"),
    [
        pytest.param("lots", ["--faults 'lots'", "0.1"], id="no number"),
        pytest.param("1.5", ["faults 1.5", "0 to 1"], id="above 1"),
        pytest.param("nan", ["faults nan", "0 to 1"], id="nan"),
        pytest.param("0.1:hnag", ["'hnag'", "did you mean hang", "--faults-list"], id="unknown name"),
        pytest.param("0.1:", ["no fault is called ''"], id="no name"),
        pytest.param("0.1:raw", ["raw needs bytes", "script"], id="needs a key"),
    ],
)
def test_faults_that_make_no_sense_are_one_line(rowcall, faults, named):
    ended = rowcall("simulate", "--faults", faults)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    for each in ("rowcall: error: ", *named):
        assert each in ended.err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("episodes: [{then: hnag}]", ["night.yaml: episode 1: then", "did you mean hang"], id="unknown fault"),
        pytest.param("episodes: [{then: hang, when: {shaer: 1}}]", ["night.yaml: episode 1: when.shaer", "share"], id="key"),
        pytest.param("episodes: [", ["night.yaml, line 1", "not valid YAML"], id="no YAML"),
        pytest.param("episodes: [{then: hang, then: 500}]", ["given twice"], id="a key twice"),
        pytest.param(None, ["night.yaml: cannot be read"], id="no file"),
    ],
)
def test_a_script_that_makes_no_sense_is_one_line(rowcall, tmp_path, text, named):
    if text is not None:
        (tmp_path / "night.yaml").write_text(text)
    ended = rowcall("simulate", "--script", "night.yaml")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    for each in ("rowcall: error: ", *named):
        assert each in ended.err
