"""Explanations over HTTP, for links from Dagster, the front page and a report: a row of gold, led back to its bytes.

It listens on the loopback alone, only reads, and knows one warehouse. A name in the address that is not its own is refused,
so that a page from elsewhere cannot have itself taken for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import psycopg

from pipeline.errors import SportsMarketError, UsageError
from pipeline.export.readable import moment
from pipeline.replay.cell_explain import Explainer, relation_named
from pipeline.report.explanation_page import address_of, render_choice, render_explanation, render_tables, render_told
from pipeline.texts import NULL
from pipeline.warehouse.connect import Role, Warehouse
from pipeline.warehouse.digest import relations

ROOT: Final = "/explain"
# A column of that name is in no relation.
AT: Final = "at"


class ExplainServer(ThreadingHTTPServer):
    """Serves the explanations of one warehouse.

    Args:
        warehouse: that is read, as the role that may read the bodies.
        host: an address of the loopback.
    """

    daemon_threads = True

    def __init__(self, warehouse: Warehouse, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.warehouse = warehouse

    @property
    def url(self) -> str:
        """The page from which all others are found."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}{ROOT}"

    def is_own(self, named: str) -> bool:
        """Whether a request means this server by its name."""
        host, port = self.server_address[:2]
        return named in (f"{host!s}:{port}", f"localhost:{port}")


@contextmanager
def explanations(warehouse: Warehouse, host: str) -> Iterator[str]:
    """Serve them until the block ends; gives the address to start from."""
    with ExplainServer(warehouse, host) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.url
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    server: ExplainServer
    # what a client sends in the first line, and nothing of this machine
    server_version = "sports-market"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer with a page."""
        parts = urlsplit(self.path)
        root, _, name = unquote(parts.path).rpartition("/")
        if not self.server.is_own(self.headers.get("Host", "")):
            self._answer(HTTPStatus.MISDIRECTED_REQUEST, render_told("This is not the server that is asked for."))
        elif parts.path == ROOT:
            self._answer(HTTPStatus.OK, render_tables([relation.name for relation in relations()], ROOT))
        elif root != ROOT:
            self._answer(HTTPStatus.NOT_FOUND, render_told(f"There is nothing here; {ROOT} is where to start."))
        else:
            self._explain(name, dict(parse_qsl(parts.query, keep_blank_values=True)))

    def _explain(self, name: str, asked: dict[str, str]) -> None:
        try:
            page = page_of(self.server.warehouse, name, asked)
        except UsageError as error:
            self._answer(HTTPStatus.BAD_REQUEST, render_told(str(error)))
        except (SportsMarketError, psycopg.Error) as error:
            told = str(error) if isinstance(error, SportsMarketError) else "The warehouse cannot be read now."
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, render_told(told))
        else:
            self._answer(HTTPStatus.OK, page)

    def _answer(self, status: HTTPStatus, page: str) -> None:
        body = page.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: who looks at what is nobody's business."""


def page_of(warehouse: Warehouse, name: str, asked: dict[str, str]) -> str:
    """The page of a row, or of the rows that a key fits.

    Args:
        warehouse: that is read.
        name: of a relation.
        asked: column → value, ``null`` for none; ``at``: of rows that hold over time, the one that held then.

    Raises:
        UsageError: as :meth:`pipeline.replay.cell_explain.Explainer.explain` does.
    """
    relation = relation_named(name)
    at = moment(asked.get(AT), AT)
    key = {column: None if value == NULL else value for column, value in asked.items() if column != AT}

    def link(relation: str, named: dict[str, object]) -> str:
        return address_of(ROOT, relation, named)

    with warehouse.connect(Role.TRANSFORMER) as connection:
        explainer = Explainer(connection)
        rows = explainer.candidates(relation, key, at)
        if len(rows) == 1:
            return render_explanation(explainer.explain_row(relation, rows[0]), link)
        if not rows and key:
            return render_explanation(explainer.absent(relation, key, at=at), link)
        names = [column for column, _ in explainer.key_of(relation, rows[0])] if rows else []
        return render_choice(relation, key, rows, names, link)
