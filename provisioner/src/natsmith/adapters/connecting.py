"""What there is to know about a connection before it stands: its files, its user, and what it waits for."""

from __future__ import annotations

import errno
import logging
import os
import re
import socket
import ssl
from pathlib import Path

from natsmith.adapters.connections import Connection
from natsmith.errors import NatsmithError, NotReady, WrongValues
from natsmith.log import Log

FILES = {
    "creds": "credentials file",
    "nkey": "nkey seed file",
    "tls_ca": "CA certificate",
    "tls_cert": "client certificate",
    "tls_key": "client key",
}


def user_of(connection: Connection) -> str:
    """Return as whom *connection* connects, as a person reads it."""
    if connection.creds or connection.nkey:
        return f"the user of {connection.creds or connection.nkey}"
    if connection.user:
        return f"user {connection.user}"
    if connection.token_from:
        # The name is not shown: who knows the nats CLI may have put a token there.
        return (
            f"the user in {connection.token_from}, taken as a token because there is no password "
            "(set NATS_PASSWORD or --password-file)"
        )
    return "the holder of the token" if connection.token else "a client without a user"


def check_files(connection: Connection) -> None:
    """Raise WrongValues for every file that *connection* names and that is not what it must be.

    nats-py would try for ever to open a file that is missing, and search for ever in one without a JWT.
    """
    problems = []
    for name, word in FILES.items():
        path = getattr(connection, name)
        if path:
            problem = _problem(name, path)
            if problem:
                problems.append(f"the {word} {path} {problem}")
    if problems:
        raise WrongValues(*problems)


def _problem(name: str, path: str) -> str:
    try:
        text = Path(path).read_text(errors="replace")
    except OSError as error:
        return f"cannot be read: {error.strerror}. Check its path and who may read it"
    except ValueError:
        return "cannot be read: its name holds a null character"
    if name == "creds":
        seed = re.search(r"BEGIN USER NKEY SEED[^\n]*\n([^\n]+)", text)
        if not seed or "BEGIN NATS USER JWT" not in text:
            return "does not hold a user's JWT and seed: write it anew with `nsc generate creds`"
        return _seed_problem(seed[1])
    return _seed_problem(text) if name == "nkey" else ""


def _seed_problem(seed: str) -> str:
    import nkeys  # noqa: PLC0415  # most users have a password, and nkeys loads a library of its own

    try:
        nkeys.from_seed(bytearray(seed.strip().encode()))  # type: ignore[no-untyped-call]  # nkeys has no types
    except (nkeys.NkeysError, ValueError):
        return "does not hold the seed of a user's nkey: one line that begins with SU"
    return ""


def ssl_context(connection: Connection) -> ssl.SSLContext | None:
    """Return how to speak TLS, where *connection* says anything about it."""
    if not (connection.tls_ca or connection.tls_cert or connection.tls_key):
        return None
    try:
        context = ssl.create_default_context(cafile=connection.tls_ca or None)
        if connection.tls_cert:
            context.load_cert_chain(connection.tls_cert, connection.tls_key or None)
    except ssl.SSLError as error:
        files = ", ".join(filter(None, (connection.tls_ca, connection.tls_cert, connection.tls_key)))
        raise WrongValues(
            f"TLS cannot use {files}: {error.reason or error}. They must be PEM, key and certificate a pair"
        ) from error
    return context


def quieten_tls() -> None:
    """Keep asyncio from printing, at the end of every TLS connection of nats-py, that something has no effect."""
    logging.getLogger("asyncio").addFilter(_worth_telling)


def _worth_telling(record: logging.LogRecord) -> bool:
    return "eof_received() has no effect" not in record.getMessage()


class Waiting:
    """What a connection waits for, told once for each reason."""

    def __init__(self, connection: Connection, log: Log) -> None:
        self.error: BaseException | None = None
        """What happened last."""

        self._connection = connection
        self._log = log
        self._told: set[str] = set()
        self._reason, self._cure = "no answer", CURES["no answer"]
        self._family: type[NatsmithError] = NotReady

    def because(self, error: BaseException, *, vague: bool = False) -> None:
        """Remember why no connection stands; what is *vague* is neither told nor remembered over something better."""
        if not vague or self.error is None:
            self._remember(error, *_explained(error), NotReady, tell=not vague)

    def because_of_jetstream(
        self, error: BaseException, reason: str, cure: str, family: type[NatsmithError] = NotReady
    ) -> None:
        """Remember why JetStream does not work on a connection that stands."""
        self._remember(error, reason, cure, family, tell=True)

    def _remember(
        self, error: BaseException, reason: str, cure: str, family: type[NatsmithError], *, tell: bool
    ) -> None:
        self.error, self._reason, self._cure, self._family = error, reason, cure, family
        if tell and reason not in self._told:
            self._told.add(reason)
            self._log.info("server.waiting", server=self._connection.shown, reason=reason)

    def given_up(self, timeout: float) -> NatsmithError:
        """Return the error that says what was waited for in vain."""
        where, who = self._connection.shown, user_of(self._connection)
        return self._family(f"{where} was not ready for {who} within {timeout:g} s: {self._reason}. {self._cure}")


CURES = {
    "connection refused": "Check that the server runs, and its address in --server, NATS_URL or the context",
    "its name is not known": "Check the address, and that the server's Service exists",
    "no answer": "Check the address and whether the network lets us through",
    "it refuses the user or its credentials": "Check both; a server reads a changed Secret when it is asked to reload, or restarted",
    "TLS failed": "Check the CA, the client certificate, and the names and the end of the server's certificate",
}


def _explained(error: BaseException) -> tuple[str, str]:
    """Return what *error* means, and the cure."""
    text = str(error)
    if isinstance(error, ssl.SSLError):
        # OpenSSL's reason is the same whatever is wrong with a certificate; its message says what.
        said = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
        return f"TLS failed: {said or text}", CURES["TLS failed"]
    if isinstance(error, socket.gaierror):
        found = "its name is not known"
    elif isinstance(error, ConnectionRefusedError) or f"[Errno {errno.ECONNREFUSED}]" in text:
        found = "connection refused"  # asyncio tries several addresses of one name, and then tells it as text
    elif isinstance(error, TimeoutError):
        found = "no answer"
    elif "authorization" in text.lower() or "authentication" in text.lower():
        found = "it refuses the user or its credentials"
    elif isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower(), CURES["no answer"]
    else:
        # The text is another library's: an address in it may carry a password.
        return re.sub(r"//\S*@", "//", text) or type(error).__name__, "Check the address and the server's log"
    return found, CURES[found]
