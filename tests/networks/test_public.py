"""The public checkpoints, against a web server on this machine."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from samar.data.catalog import DATASETS, NORMALIZATIONS
from samar.data.sources.download import digest_of
from samar.errors import ConfigError, DataError
from samar.models.catalog import MODELS
from samar.networks.public import PUBLIC, fetch, public_checkpoint


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(shared_data: Path) -> Iterator[str]:
    """A server of the shared checkpoints."""
    handler = partial(Quiet, directory=str(shared_data / "checkpoints"))
    web = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{web.server_port}/"
    web.shutdown()
    thread.join()
    web.server_close()


def test_every_entry_names_what_exists() -> None:
    for name, entry in PUBLIC.items():
        assert name == entry.name
        assert entry.model in MODELS
        assert entry.dataset in DATASETS
        assert entry.normalize in NORMALIZATIONS
        assert 0.5 < entry.accuracy < 1
        assert entry.url.startswith("https://github.com/")
        assert len(entry.sha256) == 8
        assert f"-{entry.sha256}." in entry.file
    assert len({entry.sha256 for entry in PUBLIC.values()}) == len(PUBLIC)
    with pytest.raises(ConfigError, match="There is no public checkpoint 'x'; choose idelbayev-re"):
        public_checkpoint("x")


@pytest.mark.shared
@pytest.mark.parametrize("name", ["idelbayev-resnet20", "idelbayev-resnet56"])
def test_the_checksums_are_those_of_the_files(shared_data: Path, name: str) -> None:
    entry = PUBLIC[name]
    file = shared_data / "checkpoints" / entry.file
    assert digest_of(file, "sha256").startswith(entry.sha256)


@pytest.mark.shared
def test_fetched_once(samar_home: Path, address: str) -> None:
    entry = PUBLIC["idelbayev-resnet20"]
    told: list[tuple[int, int]] = []
    file = fetch(replace(entry, url=address + entry.file), lambda *at: told.append(at))
    assert told[-1] == (1_099_231, 1_099_231)
    assert fetch(replace(entry, url="http://127.0.0.1:9/" + entry.file)) == file


@pytest.mark.shared
def test_other_bytes_are_refused(samar_home: Path, address: str) -> None:
    entry = PUBLIC["idelbayev-resnet20"]
    with pytest.raises(DataError, match=r"damaged \(SHA256 12fca82f\w+ instead of 12345678\)"):
        fetch(replace(entry, url=address + entry.file, sha256="12345678"))
    assert list((samar_home / "models" / "downloads").iterdir()) == []


def test_without_a_network_it_says_so(samar_home: Path) -> None:
    with pytest.raises(
        DataError, match=r"failed \(.*refused.*\); check the network and start it a"
    ):
        fetch(replace(PUBLIC["chen-cifar10-resnet20"], url="http://127.0.0.1:9/x.pt"))
