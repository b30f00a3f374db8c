"""Uploads in a temporary file: what was put comes back, nothing stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from securefl.errors import ConfigurationError
from securefl.secagg.spool import InMemorySpool
from securefl.store import FileSpool

UPLOADS = st.dictionaries(st.integers(1, 50), st.lists(st.binary(max_size=40), max_size=3), max_size=8)


@given(first=UPLOADS, second=UPLOADS)
def test_it_behaves_as_the_spool_in_memory(first, second):
    spool, model = FileSpool(), InMemorySpool()
    for uploads in (first, second):
        for each in (spool, model):
            each.clear()
            for client, segments in uploads.items():
                each.put(client, segments)
        for client in reversed(list(uploads)):
            assert spool.get(client) == model.get(client) == uploads[client]


def test_it_leaves_no_file_behind(tmp_path):
    spool = FileSpool(str(tmp_path))
    spool.put(1, [bytes(1 << 20)])
    assert list(tmp_path.iterdir()) == []
    assert spool.get(1) == [bytes(1 << 20)]


def test_an_unwritable_folder_is_refused_by_name():
    with pytest.raises(ConfigurationError, match="spool /nowhere"):
        FileSpool(str(Path("/nowhere/at/all")))
