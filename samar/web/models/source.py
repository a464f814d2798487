"""What the Models page is asked: which file, which images, which network and normalization."""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from samar.data.catalog import DATASETS, FOLDER_PREFIX, NORMALIZATIONS
from samar.data.presence import is_present
from samar.errors import CheckpointError
from samar.models.catalog import MODELS
from samar.networks.library import clean_title, imported_models, models_folder
from samar.networks.load import SUFFIXES
from samar.web.service import service
from samar.web.state import MODELS_DATASET, MODELS_FILE

if TYPE_CHECKING:
    from samar.data.dataset import Dataset
    from samar.networks.examine import Examined
    from samar.networks.recognition import Fit

MAX_UPLOAD_MB = 500
FIND = "find"
NORMALIZE = {FIND: "find by trying", "auto": "the data set's own"} | {
    name: info.title for name, info in NORMALIZATIONS.items()
}
FOLDER_HINT = "folder:PATH holds test/CLASS/images and train/CLASS/images."


def choose_file() -> "Examined | None":
    """Ask for a file; None until there is one.

    Raises:
        CheckpointError: it cannot be read, or holds no image classifier.
    """
    with st.grid(2, min_column_width=320):
        upload = st.file_uploader(
            "Upload a checkpoint",
            [suffix.removeprefix(".") for suffix in SUFFIXES],
            key="models_upload",
            max_upload_size=MAX_UPLOAD_MB,
            help="Weights only: a file that holds code is refused and never run.",
        )
        path = st.text_input(
            "Or the path of one on this machine",
            key=MODELS_FILE,
            bind="query-params",
            max_chars=500,
            placeholder="weights.pth",
            help=f"Ending in {', '.join(SUFFIXES)}; up to 2 GB.",
        ).strip()
    if upload is not None:
        content = upload.getbuffer()
        return _uploaded(hashlib.sha256(content).hexdigest(), upload.name, content)
    if not path:
        return None
    file = Path(path).expanduser()
    status = file.stat() if file.is_file() else None
    return _examined(str(file), status and (status.st_mtime_ns, status.st_size))


def choose_images(channels: int | None = None, classes: int | None = None) -> str:
    """Ask for the images to measure on; the first that fits is offered."""
    options = _known_images()
    held = st.session_state.get(MODELS_DATASET, st.query_params.get(MODELS_DATASET))
    if held and held not in options:
        options.append(held)
    fitting = [name for name in options if _may_fit(name, channels, classes)]
    if MODELS_DATASET not in st.session_state and held is None and fitting:
        st.session_state[MODELS_DATASET] = fitting[0]
    chosen = st.selectbox(
        "Images to measure on",
        options,
        key=MODELS_DATASET,
        bind="query-params",
        persist_state="session",
        accept_new_options=True,
        help=f"digits, cifar10 or cifar100 where they are on this machine, or your own. "
        f"{FOLDER_HINT}",
    )
    return str(chosen or options[0]).strip()


def choose_network(examined: "Examined") -> "Fit":
    """Ask which network it is where the file does not say, or says more than one."""
    from samar.networks.recognition import fit_to

    found = examined.recognition
    if len(found.fits) == 1:
        return found.fits[0]
    if found.fits:
        names = [fit.model for fit in found.fits]
        st.info("The tensors fit more than one network; choose the one that was trained.")
    else:
        assert found.nearest is not None
        names = [found.nearest.model, *(n for n in MODELS if n != found.nearest.model)]
    model = st.selectbox(
        "Network",
        names,
        format_func=lambda name: MODELS[name].title,
        key=f"models_network_{examined.sha256[:8]}",
    )
    return fit_to(examined.checkpoint, model or names[0])


def choose_normalization(examined: "Examined") -> str:
    """Ask for the normalization; a file of a run here says its own."""
    own = examined.checkpoint.metadata.get("normalize", FIND)
    options = list(NORMALIZE)
    chosen = st.selectbox(
        "Normalization",
        options,
        index=options.index(own) if own in options else 0,
        format_func=NORMALIZE.__getitem__,
        key=f"models_normalize_{examined.sha256[:8]}",
        help="How pixel values were scaled when the network was trained. Trying finds it: see the "
        "table.",
    )
    return chosen or FIND


def images_of(name: str) -> "Dataset":
    """The data set, kept while its folder does not change.

    Raises:
        DataError: it is not there or cannot be read.
    """
    stamp = 0
    if name.startswith(FOLDER_PREFIX):
        root = Path(name.removeprefix(FOLDER_PREFIX)).expanduser()
        stamp = max((p.stat().st_mtime_ns for p in root.glob("*/*") if p.is_dir()), default=0)
    return _images(name, stamp)


@st.cache_resource(max_entries=2, show_spinner="Loading the images…")
def _images(name: str, stamp: int) -> "Dataset":
    from samar.data.load import load_dataset

    return load_dataset(name)


@st.cache_resource(max_entries=3, show_spinner="Reading the file…")
def _uploaded(sha256: str, name: str, _content: Any) -> "Examined":
    from samar.networks.examine import examine

    models_folder().mkdir(parents=True, exist_ok=True)
    # The reader wants a file; its name is the person's, so it does not name the file.
    folder = Path(tempfile.mkdtemp(dir=models_folder(), prefix=".upload-"))
    path = folder / f"upload{Path(name).suffix.lower()}"
    try:
        path.write_bytes(_content)
        return examine(path, name=clean_title(name))
    except CheckpointError as error:
        raise CheckpointError(str(error).replace(str(path), clean_title(name))) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@st.cache_resource(max_entries=3, show_spinner="Reading the file…")
def _examined(path: str, stamp: Any) -> "Examined":
    from samar.networks.examine import examine

    return examine(Path(path))


def _known_images() -> list[str]:
    """Data sets on this machine, and folders that runs and models here use, newest first."""
    known = [name for name in DATASETS if is_present(name)]
    used = [model.dataset for model in imported_models()]
    used += [run.settings.dataset for run in service().all("train")]
    folders = [name for name in used if name.startswith(FOLDER_PREFIX)]
    return list(dict.fromkeys([*known, *folders]))


def _may_fit(name: str, channels: int | None, classes: int | None) -> bool:
    """Whether images have so many channels and, where that is known, classes."""
    info = DATASETS.get(name)
    if info is None:
        return channels in (None, 3)
    return channels in (None, info.channels) and classes in (None, info.classes)
