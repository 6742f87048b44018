"""Arrow cells become plain Python values, whatever their type, and whoever their neighbours are."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest

from pipeline.sources.cells import cells_of, sizes_of

BAD = pa.array([b"a\xff"], pa.binary()).view(pa.string())
FAR = 10**18


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        pytest.param(pa.array(["a", None], pa.large_string()), ["a", None], id="large_string"),
        pytest.param(pa.array(["a"], pa.string_view()), ["a"], id="string_view"),
        pytest.param(pa.array([b"a"], pa.binary_view()), [b"a"], id="binary_view"),
        pytest.param(pa.array([b"ab"], pa.binary(2)), [b"ab"], id="fixed_size_binary"),
        pytest.param(pa.array(["x", None, "x"]).dictionary_encode(), ["x", None, "x"], id="dictionary"),
        pytest.param(pa.array([Decimal("1.50")]), [Decimal("1.50")], id="decimal"),
        pytest.param(pa.array([1], pa.date32()), [date(1970, 1, 2)], id="date"),
        pytest.param(pa.array([0], pa.timestamp("us")), [datetime(1970, 1, 1)], id="timestamp"),
        pytest.param(pa.array([0], pa.timestamp("s", "UTC")), [datetime(1970, 1, 1, tzinfo=UTC)], id="timestamp, zone"),
        pytest.param(pa.array([1], pa.duration("s")), [timedelta(seconds=1)], id="duration"),
        pytest.param(pa.array([1], pa.time64("us")), [time(0, 0, 0, 1)], id="time"),
        pytest.param(pa.array([[{"a": 1}], []]), [[{"a": 1}], []], id="list of structs"),
        pytest.param(pa.array([[1, 2]], pa.list_(pa.int8(), 2)), [[1, 2]], id="fixed_size_list"),
        pytest.param(pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())), [{"k": 1}], id="map"),
        pytest.param(pa.nulls(2), [None, None], id="null"),
        pytest.param(pa.array([], pa.string()), [], id="empty"),
    ],
)
def test_a_cell_is_a_plain_value(array, wanted):
    assert cells_of(array) == wanted


def test_nanoseconds_are_kept_and_print_as_they_are():
    cells = cells_of(pa.array([123_456_789, 0, None], pa.timestamp("ns")))
    assert isinstance(cells[0], datetime)
    assert [str(cell) for cell in cells] == ["1970-01-01 00:00:00.123456789", "1970-01-01 00:00:00", "None"]


@pytest.mark.parametrize(
    ("array", "wanted"),
    [
        pytest.param(pa.array([FAR, 0], pa.timestamp("us")), datetime(1970, 1, 1), id="a year beyond 9999"),
        pytest.param(pa.array([2**40, 0], pa.timestamp("s")), datetime(1970, 1, 1), id="a year beyond 9999 in seconds"),
        pytest.param(pa.array([2**30, 0], pa.date32()), date(1970, 1, 1), id="a date beyond 9999"),
        pytest.param(pa.concat_arrays([BAD, pa.array(["é"])]), "é", id="text that is not UTF-8"),
        pytest.param(
            pa.StructArray.from_arrays([pa.array([FAR, 0], pa.timestamp("us"))], ["at"]),
            {"at": datetime(1970, 1, 1)},
            id="inside a struct",
        ),
        pytest.param(
            pa.ListArray.from_arrays([0, 1, 2], pa.array([FAR, 0], pa.timestamp("us"))),
            [datetime(1970, 1, 1)],
            id="inside a list",
        ),
        pytest.param(
            pa.array([[("k", 1), ("k", 2)], [("k", 1)]], pa.map_(pa.string(), pa.int8())), {"k": 1}, id="a map with a key twice"
        ),
        pytest.param(
            pa.DictionaryArray.from_arrays([0, 1], pa.array([FAR, 0], pa.timestamp("us"))),
            datetime(1970, 1, 1),
            id="inside a dictionary",
        ),
    ],
)
def test_a_cell_python_cannot_hold_leaves_its_neighbours_as_they_are(array, wanted):
    odd, plain = cells_of(array)
    assert plain == wanted
    assert cells_of(array.slice(1)) == [plain]
    assert cells_of(array.slice(0, 1)) == [odd]
    assert odd is not None


def test_text_that_is_not_utf8_can_be_told_from_text():
    (cell,) = cells_of(BAD)
    assert isinstance(cell, str)
    with pytest.raises(UnicodeEncodeError):
        cell.encode()


def test_a_map_with_a_key_twice_stays_a_list_of_pairs():
    assert cells_of(pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int8()))) == [[("k", 1), ("k", 2)]]


def test_an_unknown_time_zone_is_text():
    (cell,) = cells_of(pa.array([0], pa.timestamp("us", "Mars/Base")))
    assert isinstance(cell, str)


def test_a_value_that_many_rows_share_is_made_once():
    cells = cells_of(pa.array(["x" * 1000] * 50).dictionary_encode())
    assert len({id(cell) for cell in cells}) == 1


def test_the_size_of_text_and_bytes_is_their_own():
    array = pa.array([b"x" * 1000, b"", None])
    large, small, null = sizes_of(array, cells_of(array))
    assert large >= 1000 and small < 1000
    assert null < 1000


def test_the_sizes_of_nested_cells_add_up():
    array = pa.array([{"bytes": b"x" * 9000, "path": None}, {"bytes": b"", "path": "a"}])
    assert sum(sizes_of(array, cells_of(array))) >= 9000
