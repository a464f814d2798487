"""Who visits: the role that this server gives them, and the browser that tells classmates apart.

A member of a class is a browser: a random word in its cookie. Jobs bear only the word's digest,
which everybody may read. The cookie keeps classmates from each other's jobs by accident; it is no
password, and whoever has somebody's cookie is that person.
"""

import hashlib
import ipaddress
import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from samar.charts.html.render import render
from samar.jobs.roles import CLASS, LIMITS, OWNER, VARIABLE, VIEW, Person, limit, stated_role
from samar.web.state import PERSON_WORD

COOKIE = "samar_person"
FORWARDED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via")
"""What a proxy adds to a request."""
SUPPOSED = (
    f"This server can be reached from other machines and {VARIABLE} is not set: everybody who "
    f"visits is a member of a class. Set {VARIABLE} to owner, class or view."
)


def role_by(headers: Mapping[str, str]) -> str:
    """The role of whoever sends these headers: what the environment says, or what is safe.

    Raises:
        ConfigError: there is no such role, or a limit is no number.
    """
    for name in LIMITS:
        limit(name)
    return stated_role() or (CLASS if supposed(headers) else OWNER)


def role() -> str:
    """The role of the visitor of the page that is being drawn; see :func:`role_by`."""
    return role_by(st.context.headers)


def supposed(headers: Mapping[str, str]) -> bool:
    """Whether the role had to be supposed: others reach this server, and nothing is said."""
    if stated_role() is not None:
        return False
    return not _local(st.get_option("server.address")) or any(
        headers.get(name) for name in FORWARDED
    )


_asking: ContextVar[Person | None] = ContextVar("asking", default=None)


@contextmanager
def asked_by(person: Person) -> Iterator[None]:
    """Within it, :func:`this_person` is who sent a request."""
    token = _asking.set(person)
    try:
        yield
    finally:
        _asking.reset(token)


def person_by(headers: Mapping[str, str], cookies: Mapping[str, str]) -> Person:
    """The sender of a request; of a class, somebody only if a page gave them a cookie."""
    kind = role_by(headers)
    if kind != CLASS:
        return Person(kind)
    word = _good(cookies.get(COOKIE, ""))
    return _member(word) if word else Person(VIEW)


def this_person() -> Person:
    """The sender of the request, or the visitor of the page; else nobody of the class."""
    if (person := _asking.get()) is not None:
        return person
    kind = role()
    if kind != CLASS:
        return Person(kind)
    if get_script_run_ctx(suppress_warning=True) is None:
        return Person(VIEW)
    return _member(_word())


def _member(word: str) -> Person:
    return Person(CLASS, hashlib.sha256(word.encode()).hexdigest()[:16])


def recognize() -> bool:
    """Let the browser of a member of a class keep who it is; whether the visitor is one."""
    member = role() == CLASS
    if member and st.context.cookies.get(COOKIE) != _word():
        st.html(render("person.html.j2", name=COOKIE, word=_word()), unsafe_allow_javascript=True)
    if supposed(st.context.headers):
        _warn_once()
    return member


def _word() -> str:
    if PERSON_WORD not in st.session_state:
        known = _good(st.context.cookies.get(COOKIE, ""))
        st.session_state[PERSON_WORD] = known or secrets.token_hex(16)
    return str(st.session_state[PERSON_WORD])


def _good(word: str) -> str:
    """The word, if a page may have given it."""
    return word if len(word) == 32 and word.isalnum() and word.isascii() else ""


def _local(address: str | None) -> bool:
    """Whether only this machine reaches an address; none stands for all of them."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address or "0.0.0.0").is_loopback
    except ValueError:
        return False


@st.cache_resource(show_spinner=False)
def _warn_once() -> None:
    logging.getLogger(__name__).warning(SUPPOSED)
