"""Where the API listens: a socket that is ours before anything else starts, so that a taken port is told at once."""

import socket
import ssl

from connectors.loopback import choose_ports
from pipeline.home import Home
from pipeline.settings import FILE, Api, SettingsError

BACKLOG = 128


def listener(settings: Api, home: Home, port: int | None = None) -> socket.socket:
    """A bound socket for `[api] host` and `port`; SettingsError, naming the setting, where it cannot be had.

    For port 0, a free one: the same as last time, as long as it is free.
    """
    wanted = settings.port if port is None else port
    if wanted == 0:
        # One more of several remembers its own.
        (wanted,) = choose_ports(home.state / ("api.port" if port is None else "api-0.port"), 0)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # With the protocol named, asyncio turns Nagle's algorithm off for what is accepted: else every answer waits 40 ms.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, wanted))
        bound.listen(BACKLOG)
    except OSError as error:
        bound.close()
        place = f"{settings.host} port {wanted}"
        line = f"{FILE}: [api] {place} cannot be listened on ({error.strerror}); give another port, or 0"
        raise SettingsError([line]) from None
    return bound


def certificate(settings: Api) -> None:
    """Nothing, where the certificate and its key are usable, or none are wanted; SettingsError otherwise."""
    if settings.certificate_file is None:
        return
    try:
        # An empty pass phrase makes a locked key an error; without one OpenSSL would ask on the terminal.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.certificate_file, settings.key_file, password=""
        )
    except (ssl.SSLError, OSError):
        line = f"{FILE}: [api] certificate_file {settings.certificate_file} does not load with its key_file"
        raise SettingsError([f"{line}; give PEM files that belong together, the key unencrypted"]) from None


def address(settings: Api, bound: socket.socket) -> str:
    """The URL that clients give as their endpoint."""
    scheme = "http" if settings.certificate_file is None else "https"
    host, port = bound.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"
