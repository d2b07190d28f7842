"""The worker's web server: on loopback unless told otherwise, on the next port that is free."""

import errno
import logging
import socket
from typing import Any, ClassVar

from aiohttp.web import BaseSite, SockSite
from faust.web.drivers.aiohttp import Web as FaustWeb
from yarl import URL

from .errors import EngineError
from .instance import MOST
from .settings import said

logger = logging.getLogger(__name__)

PAGES = "streams.engine.pages"
PARTS = {
    "worker": ("", None),
    "tables": ("/table", "web_tables_enabled"),
    "router": ("/router", "web_router_enabled"),
    "assignment": ("/assignment", "web_stats_enabled"),
    "stats": ("/stats", "web_stats_enabled"),
    "graph": ("/graph", "web_graph_enabled"),
}
"""Where our pages are, and the setting that turns them off."""


ANY_KEY = "{key:[^/]+}"
"""Keys in braces too, as JSON has them; aiohttp takes those for its own."""


class Web(FaustWeb):
    """Faust's web server, with pages that know this engine."""

    default_blueprints: ClassVar[Any] = [
        (prefix, f"{PAGES}:{name}") for name, (prefix, _) in PARTS.items()
    ]
    debug_blueprints: ClassVar[Any] = []
    production_blueprints: ClassVar[Any] = []

    app: Any  # Faust's type knows nothing of a fetcher

    def __init__(self, app: Any, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self._socket: socket.socket | None = None

    def add_view(self, view_cls: Any, *, prefix: str = "", cors_options: Any = None) -> Any:
        """Add a page; of ours none that the application has already, and each without its slash."""
        path = prefix.rstrip("/") + "/" + view_cls.view_path.lstrip("/")
        ours = view_cls.__module__ == PAGES
        if ours and path in self.views:
            return self.views[path]
        view = super().add_view(view_cls, prefix=prefix, cors_options=cors_options)
        bare = path.rstrip("/").replace("{key}", ANY_KEY)
        if ours and bare not in ("", path):
            self.route(bare, view, cors_options)
        return view

    def claim(self) -> None:
        """Take the first free port from `web_port` on: another worker may have that.

        Raises EngineError when the address is none of this host, or all ports are taken.
        """
        conf = self.app.conf
        if self._socket is not None or conf.web_transport.scheme != "tcp":
            return
        for port in range(conf.web_port, min(conf.web_port + MOST, 1 << 16)):
            try:
                self._socket = _bound(conf.web_bind, port)
            except OSError as exc:
                if exc.errno == errno.EADDRINUSE:
                    continue
                raise EngineError(
                    f"web server on {conf.web_bind}:{port}: {exc.strerror}: choose another "
                    "with --web-bind and --web-port, or start with --without-web"
                ) from exc
            self._announce(port)
            return
        raise EngineError(
            f"web server: {MOST} ports from {conf.web_port} on are taken: "
            "choose others with --web-port, or start with --without-web"
        )

    async def start_server(self) -> None:
        """Serve, on the port that was claimed."""
        await super().start_server()
        logger.info("web: %s", self.app.conf.canonical_url)

    async def stop_server(self) -> None:
        """Stop serving, and free the port."""
        await super().stop_server()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _is_enabled(self, blueprint: Any, conf: Any) -> bool:
        module, _, name = str(blueprint).partition(":")
        setting = PARTS[name][1] if module == PAGES else None
        if setting is None:
            return bool(super()._is_enabled(blueprint, conf))
        # Faust would show some of them only when debugging, since it listens on every interface
        return bool(getattr(conf, setting)) or not said(self.app, conf, setting)

    def _new_transport_tcp(self) -> BaseSite:
        self.claim()
        assert self._socket is not None
        return SockSite(self._runner, self._socket, ssl_context=self.app.conf.web_ssl_context)

    def _announce(self, port: int) -> None:
        # to the storage of the settings: Faust warns of one that changes after it was read
        conf = self.app.conf
        conf._web_port = port
        if said(self.app, conf, "canonical_url"):
            return
        host = conf.web_host
        if host == conf.NODE_HOSTNAME and not said(self.app, conf, "web_host"):
            host = conf.NODE_HOSTNAME if conf.web_bind in ("0.0.0.0", "::") else conf.web_bind  # noqa: S104  # compared
        scheme = "http" if conf.web_ssl_context is None else "https"
        conf._canonical_url = URL.build(scheme=scheme, host=host, port=port)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)
