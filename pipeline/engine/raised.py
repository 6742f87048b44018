"""What aiohttp raised -> Fault. The order matters: its classes inherit from one another and from OSError and ValueError.

Messages are ours: some of aiohttp's carry the raw response, headers and all, and a `status` of its own that no server sent.
"""

import errno
import os
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from pipeline.core.types import Fault, FaultKind

# A body cut short or a silent time-out was probably billed: worth three more tries and no more.
LOST_RESENDS = 3
# The head of an answer past aiohttp's bounds may be a fluke: worth two more.
HEAD_RESENDS = 2
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
RESOLVERS_FILES = 8
_PROXY_WANTS_PASSWORD = 407
# The head's bounds have no exception of their own on this side; these words begin the message of what they cause.
_HEAD_TOO_LARGE = ("Got more than ", "Too many headers")


def fault_of(error: Exception, *, status: int | None, sent: bool, reused: bool) -> Fault:
    """Classify. `status`: what the answer began with; `sent`: the request began to leave; `reused`: on a pooled connection."""
    if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS and not isinstance(error, aiohttp.ClientSSLError):
        return Fault(FaultKind.LOCAL, "connection", _errno_text(error))
    match error:
        case aiohttp.ClientConnectorError():
            return _no_connection(error)
        case TimeoutError() if not sent:
            return Fault(FaultKind.DOWN, "connection", "no connection in time")
        case aiohttp.ClientPayloadError():
            return _lost("connection", "the reply was cut short", status)
        case aiohttp.ClientHttpProxyError():
            return _proxy(error)
        case aiohttp.ClientResponseError() | HttpProcessingError():
            return _no_http(error.message, status, sent=sent)
        case TimeoutError():
            return _lost("timeout", "no reply in time", status)
        case aiohttp.InvalidURL() | ValueError():
            return Fault(FaultKind.FATAL, "bad_request", "the request cannot be sent: its URL or a header is not valid")
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientOSError() | OSError():
            return Fault(FaultKind.TRANSIENT, "connection", "the connection was closed", status, ambiguous=sent, free=reused)
    return Fault(FaultKind.TRANSIENT, "connection", type(error).__name__, status, ambiguous=sent)


def _no_connection(error: aiohttp.ClientConnectorError) -> Fault:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            why = getattr(error.certificate_error, "verify_message", None) or "verification failed"
            return Fault(FaultKind.FATAL, "connection", f"the server's TLS certificate is not trusted: {why}")
        case aiohttp.ClientConnectorDNSError():
            if (shortage := _shortage()) is not None:
                return shortage
            return Fault(FaultKind.DOWN, "connection", "the host name cannot be resolved")
    cause = error.os_error
    if isinstance(cause, ssl.SSLError):  # its errno is OpenSSL's own
        words = (
            f"the TLS handshake failed ({(cause.reason or 'no reason').replace('_', ' ').lower()}); is https right for this port?"
        )
        return Fault(FaultKind.DOWN, "connection", words, if_all=FaultKind.DOWN)
    if error.ssl is not False and error.errno is None:
        return Fault(FaultKind.DOWN, "connection", "the server broke off the TLS handshake")
    return Fault(FaultKind.DOWN, "connection", f"cannot connect: {_errno_text(error)}")


def _shortage() -> Fault | None:
    """Look whether this process can open files: a resolver that cannot says that there is no such host.

    Several, since it opens several, and others may have closed one of theirs meanwhile.
    """
    opened: list[int] = []
    try:
        for _ in range(RESOLVERS_FILES):
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return Fault(FaultKind.LOCAL, "connection", _errno_text(error))
    finally:
        for each in opened:
            os.close(each)
    return None


def _proxy(error: aiohttp.ClientHttpProxyError) -> Fault:
    kind = FaultKind.FATAL if error.status == _PROXY_WANTS_PASSWORD else FaultKind.DOWN
    return Fault(kind, "connection", f"the proxy refused the connection ({error.status})")


def _no_http(message: str, status: int | None, *, sent: bool) -> Fault:
    if message.startswith(_HEAD_TOO_LARGE):
        return Fault(
            FaultKind.TRANSIENT,
            "bad_response",
            "the head of the reply is larger than 8 kB a line or 128 headers",
            status,
            ambiguous=sent,
            resends=HEAD_RESENDS,
            if_all=FaultKind.FATAL,
        )
    return Fault(FaultKind.TRANSIENT, "connection", "the reply is not valid HTTP", status, ambiguous=sent)


def _lost(error_kind: str, message: str, status: int | None) -> Fault:
    return Fault(FaultKind.TRANSIENT, error_kind, message, status, ambiguous=True, resends=LOST_RESENDS)


def _errno_text(error: OSError) -> str:
    if error.errno and error.errno > 0:
        return f"{errno.errorcode.get(error.errno, error.errno)} ({os.strerror(error.errno).lower()})"
    return type(error).__name__
