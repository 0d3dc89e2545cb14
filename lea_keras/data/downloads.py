"""Downloads of TensorFlow Datasets that end soon and in one line without a network, and damage in what is there."""

import contextlib
import json
import logging
import os
import pathlib
import re
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

ANSWER = 10.0  # seconds for a server to answer
PATIENCE = 15.0  # seconds for all of them together, the search for their addresses included
WAYS_ON = (
    "Give the folder of a copy that is there already (`data_dir`, on the command line --data_dir), or use the "
    "generated 'sprites'."
)


def prepare(builder: Any, name: str) -> None:
    """Downloads and prepares a data set, unless it is there.

    TensorFlow Datasets asks again and again for minutes where nobody answers, and without an end where a firewall lets
    nothing through. So the servers of the data set are asked first whether they are there.

    Args:
        builder: its builder.
        name: of the data set.

    Raises:
        ConnectionError: one line, if a server does not answer or the download fails.
        OSError: if the folder cannot be written to.
    """
    if is_prepared(builder):
        return
    wanted = set(builder.url_infos) - _downloaded(builder)
    if reason := _unreachable(wanted):
        raise _failed(name, reason)
    try:
        with _without("urllib3.connectionpool", "Retrying"):
            builder.download_and_prepare()
    except OSError as error:
        if error.errno is not None:  # of a file
            raise
        raise _failed(name, reason_of(error)) from error
    except Exception as error:  # a download can fail in whatever library meets the failure first
        raise _failed(name, reason_of(error)) from error


def _failed(name: str, reason: str) -> ConnectionError:
    return ConnectionError(f"The data set {name!r} cannot be downloaded: {reason}. {WAYS_ON}")


def _downloaded(builder: Any) -> set[str]:
    """The addresses of files that an earlier download has brought; TFDS notes them beside each complete one."""
    urls: set[str] = set()
    for path in (pathlib.Path(builder.data_path).parents[1] / "downloads").rglob("*.INFO"):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            if path.with_suffix("").exists():
                urls |= set(json.loads(path.read_text(encoding="utf-8"))["urls"])
    return urls


def _unreachable(urls: set[str]) -> str | None:
    """Why one of the servers of some addresses cannot be reached; None if all answer, whatever it is that they say."""
    import requests  # of TensorFlow Datasets, with the same proxies and certificates

    servers = {urllib.parse.urlsplit(url).netloc: url for url in sorted(urls)}
    answers: dict[str, str | None] = {}

    def ask(server: str, url: str) -> None:
        try:
            requests.head(url, timeout=ANSWER)
            answers[server] = None
        except requests.RequestException as error:
            answers[server] = f"{server} does not answer ({reason_of(error)})"

    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in servers.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE / len(threads))
    silent = (f"{server} does not answer (for {PATIENCE:.0f} seconds)" for server in servers if server not in answers)
    return next((reason for reason in (*answers.values(), *silent) if reason), None)


def reason_of(error: BaseException) -> str:
    """What an error of a network, of TensorFlow or of a file's format says, without what is of use to programmers."""
    inner = getattr(error.args[0], "reason", None) if error.args else None  # of urllib3, which requests wraps
    text = getattr(error, "message", None) or str(inner or error) or type(error).__name__
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*|HTTPS?Connection\w*\(.*?\): ", "", text).strip()
    return text.partition("\n")[0].rstrip(". ") or type(error).__name__


def is_prepared(builder: Any) -> bool:
    """Whether a data set is there as a whole: TFDS prepares it under another name and renames its folder in the end."""
    with _without("absl", "Variant folder"):
        return builder.is_prepared()


@contextlib.contextmanager
def _without(name: str, beginning: str) -> Iterator[None]:
    """Inside, a logger does not warn of what is tried again or answered in one line anyway."""
    logger = logging.getLogger(name)

    def keep(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(beginning)

    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


@contextlib.contextmanager
def damage_named(name: str, data_dir: str | None, errors: Any) -> Iterator[None]:
    """Inside, errors of reading a prepared data set become a line that names it.

    Args:
        name: of the data set.
        data_dir: the folder of TFDS; None: its default.
        errors: what reading it may raise, one class or several.

    Raises:
        ValueError: in place of them.
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except errors as error:
        folder = "the folder of TensorFlow Datasets" if data_dir is None else repr(os.path.join(data_dir, name))
        what = f"The data set {name!r} in {folder} is damaged or incomplete: {reason_of(error)}"
        raise ValueError(f"{what}. Remove it and download it again. {WAYS_ON}") from error
