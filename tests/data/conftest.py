"""Small image folders and a local web server that can misbehave."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from samar.data.dataset import ImageSet


@pytest.fixture
def image_folder(tmp_path: Path) -> Callable[..., Path]:
    """Write random PNG images as ``part/class/number.png`` and return their root."""

    def make(classes: tuple[str, ...] = ("cat", "dog"), count: int = 3, size: int = 32) -> Path:
        rng = np.random.default_rng(0)
        for part in ("train", "test"):
            for name in classes:
                folder = tmp_path / part / name
                folder.mkdir(parents=True)
                for i in range(count):
                    pixels = rng.integers(0, 256, (size, size, 3), dtype=np.uint8)
                    Image.fromarray(pixels).save(folder / f"{i}.png")
        return tmp_path

    return make


@pytest.fixture
def numbered() -> Callable[[int], ImageSet]:
    """Return n grey images whose pixels and label are all the image's number."""

    def make(n: int) -> ImageSet:
        numbers = torch.arange(n)
        return ImageSet(numbers.to(torch.uint8).view(n, 1, 1, 1).repeat(1, 1, 8, 8), numbers)

    return make


@dataclass
class Server:
    """A web server with one file.

    ``break_after`` closes the connection once after so many bytes; ``ranges`` collects the
    requests for a part.
    """

    url: str
    content: bytes = b""
    break_after: int | None = None
    status: int = 200
    ranges: list[int] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            if asked:
                state.ranges.append(int(asked[1]))
            if state.status != 200:
                self.send_error(state.status)
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut, state.break_after = state.break_after, None
            self.wfile.write(body[:cut])

        def log_message(self, format: str, *args: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state = Server(f"http://127.0.0.1:{web.server_port}/data.tar.gz")
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    web.shutdown()
    thread.join()
    web.server_close()
