"""Who visits: the role that this server gives them, and the browser that tells classmates apart.

A member of a class is a browser: a random word in its cookie. Jobs bear only the word's digest,
which everybody may read. The cookie keeps classmates from each other's jobs by accident; it is no
password, and whoever has somebody's cookie is that person.
"""

import hashlib
import ipaddress
import logging
import secrets

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


def role() -> str:
    """The visitor's role: what the environment says, or what is safe.

    Raises:
        ConfigError: there is no such role, or a limit is no number.
    """
    for name in LIMITS:
        limit(name)
    return stated_role() or (CLASS if supposed() else OWNER)


def supposed() -> bool:
    """Whether the role had to be supposed: others reach this server, and nothing is said."""
    if stated_role() is not None:
        return False
    return not _local(st.get_option("server.address")) or any(
        st.context.headers.get(name) for name in FORWARDED
    )


def this_person() -> Person:
    """Who visits the page that is being drawn; where none is, nobody of the class."""
    kind = role()
    if kind != CLASS:
        return Person(kind)
    if get_script_run_ctx(suppress_warning=True) is None:
        return Person(VIEW)
    return Person(CLASS, hashlib.sha256(_word().encode()).hexdigest()[:16])


def recognize() -> bool:
    """Let the browser of a member of a class keep who it is; whether the visitor is one."""
    member = role() == CLASS
    if member and st.context.cookies.get(COOKIE) != _word():
        st.html(render("person.html.j2", name=COOKIE, word=_word()), unsafe_allow_javascript=True)
    if supposed():
        _warn_once()
    return member


def _word() -> str:
    if PERSON_WORD not in st.session_state:
        known = st.context.cookies.get(COOKIE, "")
        good = len(known) == 32 and known.isalnum() and known.isascii()
        st.session_state[PERSON_WORD] = known if good else secrets.token_hex(16)
    return str(st.session_state[PERSON_WORD])


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
