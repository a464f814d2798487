import hashlib
import os

import pytest

from samar.data.sources.download import download
from samar.errors import DataError

CONTENT = os.urandom(700_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_a_whole_file_with_progress(server, tmp_path):
    server.content = CONTENT
    seen = []
    file = tmp_path / "new" / "data.tar.gz"
    download(server.url, file, MD5, lambda done, total: seen.append((done, total)))
    assert file.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert [p.name for p in file.parent.iterdir()] == ["data.tar.gz"]


def test_a_broken_connection_is_taken_up_again(server, tmp_path):
    server.content, server.break_after = CONTENT, 300_000
    file = tmp_path / "data.tar.gz"
    with pytest.raises(DataError, match=r"broke off after 0\.3 of 0\.7 MB; start it again and it"):
        download(server.url, file, MD5)
    assert not file.exists()
    download(server.url, file, MD5)
    assert file.read_bytes() == CONTENT
    assert server.ranges == [300_000]


def test_sha256_or_its_beginning(server, tmp_path):
    server.content = CONTENT
    whole = hashlib.sha256(CONTENT).hexdigest()
    for number, digits in enumerate((whole, whole[:8].upper())):
        download(server.url, tmp_path / f"{number}", sha256=digits)
        assert (tmp_path / f"{number}").read_bytes() == CONTENT
    wrong = "0" * 8 if not whole.startswith("0" * 8) else "1" * 8
    with pytest.raises(DataError, match=rf"damaged \(SHA256 {whole} instead of {wrong}\)"):
        download(server.url, tmp_path / "other", sha256=wrong)


def test_other_bytes_than_expected_are_thrown_away(server, tmp_path):
    server.content = b"not what you want"
    with pytest.raises(DataError, match=rf"damaged \(MD5 \w+ instead of {MD5}\); start it again"):
        download(server.url, tmp_path / "data.tar.gz", MD5)
    assert list(tmp_path.iterdir()) == []
