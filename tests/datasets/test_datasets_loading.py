import csv
import io
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from securefl.datasets import load_click_log
from securefl.datasets.columns import CHUNK, LONGEST_FIELD
from securefl.errors import ConfigurationError

FIELDS = ("user", "item", "label", "category", "user_ids", "item_ids", "category_ids")

ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 2**63 - 1) | st.integers(0, 9), st.booleans(), st.integers(0, 3)),
    min_size=1,
    max_size=30,
).filter(lambda rows: any(label for _, _, label, _ in rows))


@pytest.fixture
def npz(tmp_path):
    def write(**arrays):
        np.savez(tmp_path / "log.npz", **arrays)
        return tmp_path / "log.npz"

    return write


@pytest.fixture
def text(tmp_path):
    def write(content, name="log.csv"):
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path / name

    return write


def write_csv(path, columns):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*(np.asarray(column).tolist() for column in columns.values()), strict=True))


def assert_same(one, other):
    for name in FIELDS:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert one.sampled_negatives == other.sampled_negatives


def rows_of(log):
    """(user id, item id, clicked) in the order of the log."""
    return list(zip(log.user_ids[log.user], log.item_ids[log.item], log.label.tolist(), strict=True))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_csv_and_npz_of_one_log_are_the_same_log(tmp_path, rows):
    user, item, label, time = map(np.array, zip(*rows, strict=True))
    columns = {"timestamp": time, "user": user, "item": item, "category": item % 3, "click": label.astype(int)}
    np.savez(tmp_path / "log.npz", **columns)
    write_csv(tmp_path / "log.csv", columns)
    assert_same(load_click_log(tmp_path / "log.npz"), load_click_log(tmp_path / "log.csv"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_every_row_is_kept_grouped_by_user_and_sorted_by_time_with_ties_in_the_order_of_the_file(tmp_path, rows):
    user, item, label, time = map(np.array, zip(*rows, strict=True))
    label[0], label[-1] = False, True  # no negatives are drawn
    if len(rows) == 1:
        user, item, label, time = (np.repeat(column, 2) for column in (user, item, label, time))
        label = np.array([False, True])
    np.savez(tmp_path / "log.npz", user=user, item=item, label=label, timestamp=time)
    by_user_and_time = sorted(zip(user, time, range(len(user)), strict=True))
    expected = [(user[at], item[at], bool(label[at])) for _, _, at in by_user_and_time]
    assert rows_of(load_click_log(tmp_path / "log.npz")) == expected


def test_ids_are_numbered_without_gaps_and_the_maps_kept(npz):
    log = load_click_log(npz(user=[7, 900, 7], item=[2**40, 3, 3], label=[1, 0, 0], category=[5, 50, 50]))
    assert (log.name, log.users, log.items, log.categories, len(log)) == ("log", 2, 2, 2, 3)
    assert log.user.tolist() == [0, 0, 1]
    assert log.item.tolist() == [1, 0, 0]
    assert log.category.tolist() == [1, 0]
    assert (log.user_ids.tolist(), log.item_ids.tolist(), log.category_ids.tolist()) == ([7, 900], [3, 2**40], [5, 50])


def test_ids_may_be_text(text, npz):
    log = load_click_log(text('user,item,label,category\nzoë,B00X,1,a b\nann,A17,0,"c,d"\nzoë,A17,0,"c,d"\n'))
    assert rows_of(log) == [("ann", "A17", False), ("zoë", "B00X", True), ("zoë", "A17", False)]
    assert log.category_ids[log.category].tolist() == ["c,d", "a b"]
    again = npz(
        user=["zoë", "ann", "zoë"], item=["B00X", "A17", "A17"], label=[1, 0, 0], category=["a b", "c,d", "c,d"]
    )
    assert_same(log, load_click_log(again))


@pytest.mark.parametrize("ids", [("0042", "42"), ("1_23", "12_3"), ("1e3", "1000"), ("+1", "1"), ("x", "X")])
def test_ids_that_are_equal_only_as_numbers_stay_apart(text, ids):
    log = load_click_log(text(f"user,item,label\n{ids[0]},1,1\n{ids[1]},1,0\n"))
    assert sorted(log.user_ids.tolist()) == sorted(ids)


def test_whole_numbers_written_as_fractions_are_integers(text):
    log = load_click_log(text("user,item,label\n0.0,1,1.0\n10.0,2,0.0\n2.0,3,0\n"))
    assert log.user_ids.tolist() == [0, 2, 10]
    assert log.label.tolist() == [True, False, False]


@pytest.mark.parametrize("largest", [2**63 - 1, 2**64 - 1])
def test_hashes_are_ids(text, largest):
    log = load_click_log(text(f"user,item,label\n{largest},1,1\n{largest - 1},1,0\n"))
    assert log.user_ids.tolist() == [largest - 1, largest]


def test_times_in_nanoseconds_keep_their_order(text):
    now = 1_700_000_000_000_000_000
    log = load_click_log(text(f"user,item,label,timestamp\n1,5,1,{now + 1}\n1,7,0,{now}\n"))
    assert log.item_ids[log.item].tolist() == [7, 5]


def test_times_may_be_negative_and_fractional(text):
    log = load_click_log(text("user,item,label,timestamp\n1,5,1,0.5\n1,7,0,-2\n1,6,0,.25\n"))
    assert log.item_ids[log.item].tolist() == [7, 6, 5]


def test_without_timestamps_the_order_of_rows_is_time(npz):
    log = load_click_log(npz(user=[1, 0, 1, 0], item=[9, 8, 7, 6], label=[1, 0, 0, 1]))
    assert log.item_ids[log.item].tolist() == [8, 6, 9, 7]


def test_a_rating_from_4_is_a_click(npz):
    log = load_click_log(npz(user=np.zeros(6, int), item=np.arange(6), rating=[0, 3.5, 3.99, 4, 4.5, 5]))
    assert log.label.tolist() == [False, False, False, True, True, True]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"rating": [5, 5], "click": [0, 1], "label": [1, 0]}, [True, False]),
        ({"rating": [5, 1], "click": [0, 1]}, [False, True]),
        ({"rating": [9, 9], "click": [True, False]}, [True, False]),
    ],
)
def test_a_label_counts_before_a_click_before_a_rating(npz, columns, expected):
    assert load_click_log(npz(user=[0, 0], item=[0, 1], **columns)).label.tolist() == expected


def test_true_and_false_are_labels(text):
    log = load_click_log(text("user,item,label\n1,1,True\n1,2,false\n1,3,1\n"))
    assert log.label.tolist() == [True, False, True]


def test_a_log_without_categories_has_one(npz):
    log = load_click_log(npz(user=[0, 1], item=[3, 4], label=[0, 1]))
    assert (log.categories, log.category.tolist()) == (1, [0, 0])


def test_other_columns_and_arrays_are_not_looked_at(npz, text):
    columns = {"user": [0, 0], "item": [3, 4], "label": [0, 1]}
    plain = load_click_log(npz(**columns))
    others = {"genres": np.zeros((7, 3, 2)), "names": np.array([{}, None, 1]), "price": np.array([np.nan]), "n": 3}
    assert_same(plain, load_click_log(npz(**columns, **others)))
    assert_same(plain, load_click_log(text('note,item,user,,label,note\n,3,0,NaN,0,x\n"a\nb",4,0,-1,1,\n')))


def test_csv_may_have_a_byte_order_mark_blank_lines_spaces_and_dos_line_ends(text):
    plain = load_click_log(text("user,item,label\n0,3,0\n0,4,1\n"))
    assert_same(
        plain, load_click_log(text(b"\xef\xbb\xbfuser , item,label\r\n\r\n0, 3,0\r\n0,4 ,1\r\n\r\n", "LOG.CSV"))
    )


def test_a_csv_file_longer_than_a_chunk_is_read_whole(tmp_path):
    count = CHUNK + 5
    columns = {"user": np.arange(count) % 7, "item": np.arange(count) % 1000, "label": np.arange(count) % 2}
    write_csv(tmp_path / "log.csv", columns)
    np.savez(tmp_path / "log.npz", **columns)
    assert_same(load_click_log(tmp_path / "log.npz"), load_click_log(tmp_path / "log.csv"))
    with (tmp_path / "log.csv").open("a") as file:
        file.write("1,2,1,9\n")
    assert_refused(tmp_path / "log.csv", f"row {count + 1} has 4 fields")


def test_a_path_may_be_text(npz):
    path = npz(user=[0, 0], item=[3, 4], label=[0, 1])
    assert_same(load_click_log(path), load_click_log(str(path)))


CLICKED = {"user": np.arange(300) % 6, "item": np.arange(300) % 97}


def test_clicks_alone_get_one_unseen_item_each_the_same_in_every_load(npz):
    path = npz(**CLICKED)
    log = load_click_log(path, seed=5)
    assert log.sampled_negatives
    assert log.label.tolist() == [False, True] * 300
    assert not set(rows_of(log)) & {(user, item, not clicked) for user, item, clicked in rows_of(log)}
    assert_same(log, load_click_log(path, seed=5))


def test_drawn_items_that_are_trained_on_are_in_the_index_set(npz):
    log = load_click_log(npz(**CLICKED))
    for user in range(log.users):
        train = log.train(user)
        drawn = train.targets[~train.labels]
        assert len(drawn) > 0
        assert np.isin(drawn, log.index_set(user)).all()


def test_another_seed_draws_other_items(npz):
    path = npz(**CLICKED)
    one, other = load_click_log(path, seed=5), load_click_log(path, seed=6)
    assert np.array_equal(one.item[one.label], other.item[other.label])
    assert (one.item[~one.label] != other.item[~other.label]).mean() > 0.9


@pytest.mark.parametrize(
    "columns", [{"label": np.ones(300, int)}, {"rating": np.full(300, 4.5)}], ids=["label", "rating"]
)
def test_a_column_of_clicks_only_is_as_good_as_none(npz, columns):
    assert_same(load_click_log(npz(**CLICKED)), load_click_log(npz(**CLICKED, **columns)))


def test_nothing_is_drawn_where_the_source_tells_what_was_not_clicked(npz):
    log = load_click_log(npz(**CLICKED, label=np.arange(300) != 17))
    assert (len(log), log.label.sum(), log.sampled_negatives) == (300, 299, False)


def test_the_split_is_by_time_not_by_row(npz):
    time, user = np.random.default_rng(0).permutation(20), np.repeat([0, 1], 10)
    log = load_click_log(npz(user=user, item=time, timestamp=time, label=time % 2))
    for each in (0, 1):
        latest = np.sort(time[user == each]).tolist()
        assert log.item_ids[log.train(each).targets].tolist() == latest[:8]
        assert log.item_ids[log.test(each).targets].tolist() == latest[8:]


def assert_refused(path, *words):
    """One clear sentence that names the file."""
    with pytest.raises(ConfigurationError) as caught:
        load_click_log(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    rest = sentence.removeprefix(f"{path}: ")
    assert ";" in rest  # what is wrong; what to do
    assert len(rest) < 200
    for noise in ("\n", "Traceback", "Error", "allow_pickle", "literal"):
        assert noise not in rest
    for word in words:
        assert word in rest


@pytest.mark.parametrize("name", ["absent.npz", "absent.csv"])
def test_a_missing_file_is_refused(tmp_path, name):
    assert_refused(tmp_path / name, "no such file")


@pytest.mark.parametrize("name", ["folder.npz", "folder.csv"])
def test_a_folder_is_refused(tmp_path, name):
    (tmp_path / name).mkdir()
    assert_refused(tmp_path / name, "no such file")


@pytest.mark.parametrize("name", ["log.parquet", "log.tsv", "log.csv.gz", "log"])
def test_an_unknown_suffix_is_refused(text, name):
    assert_refused(text("user,item\n1,1\n", name), ".npz or .csv")


NAN, INF = float("nan"), float("inf")
BAD_COLUMNS = [
    ({"user": None}, "'user' is missing"),
    ({"item": None}, "'item' is missing"),
    ({"user": [0, NAN, 1]}, "'user' holds NaN or infinity (first in row 2)"),
    ({"item": [0, 1, INF]}, "'item' holds NaN or infinity (first in row 3)"),
    ({"category": [NAN, 1, 1]}, "'category' holds NaN"),
    ({"timestamp": [1, 2, NAN]}, "'timestamp' holds NaN or infinity (first in row 3)"),
    ({"timestamp": [-INF, 2, 1]}, "'timestamp' holds NaN or infinity (first in row 1)"),
    ({"user": [0, -1, 1]}, "'user' holds a negative id (first in row 2)"),
    ({"item": [-5, 1, 1]}, "'item' holds a negative id (first in row 1)"),
    ({"category": [0, -1, -1]}, "'category' holds a negative id"),
    ({"user": [0, 1, 1.5]}, "'user' holds a number that is not an integer (first in row 3)"),
    ({"item": [0.5, 1, 2]}, "'item' holds a number that is not an integer (first in row 1)"),
    ({"user": [0, 1, 2.0**53 + 2]}, "'user' holds a number too large to be exact (first in row 3)"),
    ({"label": [0, 1, 2]}, "'label' holds something else than 0 and 1 (first in row 3)"),
    ({"label": [0, -1, 1]}, "'label' holds something else than 0 and 1 (first in row 2)"),
    ({"label": [0, 1, 0.5]}, "'label' holds something else"),
    ({"label": [0, 1, NAN]}, "'label' holds something else"),
    ({"label": ["0", "1", "yes"]}, "'label' holds something else"),
    ({"label": None, "click": [0, 1, 3]}, "'click' holds something else"),
    ({"label": None, "rating": [5, 1, 6]}, "'rating' is not between 0 and 5 (first in row 3)"),
    ({"label": None, "rating": [-1, 1, 5]}, "'rating' is not between 0 and 5 (first in row 1)"),
    ({"label": None, "rating": [1, NAN, 5]}, "'rating' holds NaN"),
    ({"label": None, "rating": ["5", "1", "good"]}, "'rating' holds text"),
    ({"timestamp": ["1", "2", "noon"]}, "'timestamp' holds text"),
    ({"label": [0, 0, 0]}, "no row is a click"),
    ({"label": None, "rating": [1, 2, 3.9]}, "no row is a click"),
    ({"item": [3, 3, 4], "category": [0, 1, 1]}, "'category' gives an item two categories (first in row 1)"),
]


def with_defaults(changed):
    columns = {"user": [0, 0, 1], "item": [3, 4, 5], "label": [0, 1, 0]} | changed
    return {name: column for name, column in columns.items() if column is not None}


@pytest.mark.parametrize(("changed", "words"), BAD_COLUMNS, ids=str)
def test_a_doubtful_column_is_refused_by_name(npz, tmp_path, changed, words):
    columns = with_defaults(changed)
    assert_refused(npz(**columns), words)
    write_csv(tmp_path / "log.csv", columns)
    assert_refused(tmp_path / "log.csv", words)


def test_the_columns_those_refusals_change_are_good(npz):
    assert len(load_click_log(npz(**with_defaults({})))) == 3


@pytest.mark.parametrize("column", ["user", "item", "label", "category", "timestamp"])
def test_columns_of_different_length_are_refused(npz, column):
    columns = {name: np.ones(3, int) for name in ("user", "item", "label", "category", "timestamp")}
    assert_refused(npz(**columns | {column: np.ones(4, int)}), "differ in length", f"'{column}': 4")


def test_an_empty_log_is_refused(npz, text):
    assert_refused(npz(user=[], item=[]), "empty")
    assert_refused(npz(), "no npz archive")
    assert_refused(text("user,item,label\n"), "empty")
    assert_refused(text("user,item,label\n\n\n"), "empty")
    assert_refused(text(""), "'user' is missing")


@pytest.mark.parametrize(
    "array",
    [np.ones((3, 1)), np.int64(3), np.ones(3, complex), np.array([b"a", b"b", b"c"]), np.ones(3, "M8[s]")],
    ids=["matrix", "scalar", "complex", "bytes", "datetime"],
)
def test_an_array_of_a_wrong_shape_or_type_is_refused(npz, array):
    assert_refused(npz(user=[0, 0, 1], item=array), f"array 'item' has shape {array.shape} and type {array.dtype}")


def test_pickled_objects_are_refused_and_not_loaded(npz, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (tmp_path.joinpath("exploded").touch, ())

    assert_refused(npz(user=np.array([Bomb(), 1, 2]), item=[1, 2, 3]), "array 'user' cannot be read", "Python objects")
    assert not (tmp_path / "exploded").exists()


def test_a_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "log.npz", "w") as archive:
        archive.writestr("user", "not an array")
        archive.writestr("item", "not an array")
    assert_refused(tmp_path / "log.npz", "array 'user'")


def test_an_array_that_appears_twice_is_refused(tmp_path):
    np.save(tmp_path / "user.npy", np.arange(3))
    with zipfile.ZipFile(tmp_path / "log.npz", "w") as archive:
        for name in ("user.npy", "item.npy", "user"):
            archive.write(tmp_path / "user.npy", name)
    assert_refused(tmp_path / "log.npz", "'user' appears twice")


def test_an_array_that_claims_to_be_huge_is_refused_before_it_is_read(text):
    content = bytearray(SMALL_NPZ)
    directory = content.rfind(b"PK\x01\x02", 0, content.rfind(b"user.npy"))
    content[directory + 24 : directory + 28] = (2**31).to_bytes(4, "little")
    assert_refused(text(bytes(content), "log.npz"), "array 'user'", "2,147,483,648 bytes")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("user,item,label\n1,2\n", "row 1 has 2 fields, the header 3"),
        ("user,item,label\n1,2,1\n\n1,2,1,4\n", "row 2 has 4 fields, the header 3"),
        ("user,item,label\n1,2,1\n1,,1\n", "column 'item' is empty in row 2"),
        ("user,item,label\n1,2,1\n1,2, \n", "column 'label' is empty in row 2"),
        ("user,item,user\n1,2,1\n", "column 'user' appears twice"),
        ("user;item;label\n1;2;1\n", "column 'user' is missing"),
        ('user,item\n"a" b,1\n', "no csv text"),
        ('user,item\n1,"open\n', "no csv text"),
        (b"user,item\n\xff\xfe,1\n", "no csv text"),
        (b"user,item\n1," + b"9" * (LONGEST_FIELD + 1) + b"\n", "column 'item' has an entry of 257 characters"),
        (b"user,item\n1," + b"9" * 200_000 + b"\n", "no csv text"),
    ],
    ids=range(11),
)
def test_a_malformed_csv_file_is_refused(text, content, words):
    assert_refused(text(content), words)


def _saved(save):
    file = io.BytesIO()
    save(file, user=np.arange(40) % 4, item=np.arange(40), label=np.arange(40) % 2, timestamp=np.arange(40)[::-1])
    return file.getvalue()


SMALL_NPZ, COMPRESSED_NPZ = _saved(np.savez), _saved(np.savez_compressed)


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"user,item\n1,2\n", b"\x93NUMPY"])
def test_a_file_that_is_no_archive_is_refused(text, content):
    assert_refused(text(content, "log.npz"))


@pytest.mark.parametrize("whole", [SMALL_NPZ, COMPRESSED_NPZ], ids=["stored", "deflated"])
def test_a_truncated_archive_is_refused(text, whole):
    for length in range(0, len(whole), 29):
        assert_refused(text(whole[:length], "log.npz"), "damaged or no npz archive")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 1, 99])
def test_a_compression_numpy_does_not_write_is_refused(text, method):
    content = bytearray(COMPRESSED_NPZ)
    directory = content.rfind(b"PK\x01\x02", 0, content.rfind(b"user.npy"))
    content[directory + 10 : directory + 12] = method.to_bytes(2, "little")
    assert_refused(text(bytes(content), "log.npz"), "damaged")


CHANGES = st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), min_size=1, max_size=4)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(whole=st.sampled_from([SMALL_NPZ, COMPRESSED_NPZ]), changes=CHANGES)
@example(whole=SMALL_NPZ, changes=[(0, 1)])  # not the magic bytes of a zip file, which zipfile forgives
def test_a_damaged_archive_is_a_log_or_refused(text, whole, changes):
    content = bytearray(whole)
    for place, change in changes:
        content[place % len(content)] ^= change
    try:
        load_click_log(text(bytes(content), "log.npz"))
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017 - most damage is refused, some goes unseen


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(st.text(max_size=5), min_size=3, max_size=3).map(",".join)), noise=st.binary(max_size=40))
def test_any_text_is_a_log_or_refused(text, rows, noise):
    try:
        load_click_log(text("\n".join(["user,item,label", *rows]).encode(errors="replace") + noise))
    except ConfigurationError as error:
        assert "\n" not in str(error)  # noqa: PT017 - some of it is a good log
