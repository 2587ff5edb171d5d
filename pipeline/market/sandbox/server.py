"""The sandbox's rim: sockets, compression, faults of the transport, and the control endpoints."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import json
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any, Final

# uvicorn rather than the standard library's http.server: it is maintained as a server, keeps connections alive, and a slow or
# silent answer holds up no other. It comes alone (no framework): what is served here is one function.
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from pipeline.clock import from_iso
from pipeline.errors import SetupError, UsageError
from pipeline.market.sandbox.service import Reply, Sandbox

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

CONTROL: Final = "/sandbox"
FAULT_HEADER: Final = b"x-sandbox-fault"
_BODY_LIMIT: Final = 1_000_000
_NO_LINGER: Final = struct.pack("ii", 1, 0)


class _Protocol(H11Protocol):
    """Lets the application see its connection, so that it can be broken off."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Application:
    """The sandbox as an ASGI application.

    Args:
        sandbox: answers.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path: str = scope["raw_path"].decode("latin-1")
        if path == CONTROL or path.startswith(f"{CONTROL}/"):
            await _send(send, await self._control(scope, path, receive), compressed=False)
            return
        headers = dict(scope["headers"])
        fault = headers.get(FAULT_HEADER, b"").decode("latin-1") or None
        compressed = b"gzip" in headers.get(b"accept-encoding", b"")
        try:
            reply = self._sandbox.answer(scope["method"], path, scope["query_string"].decode("latin-1"), fault)
        except UsageError as error:
            reply = _said(400, {"message": str(error)})
        kind = None if reply.fault is None else reply.fault.kind
        if kind == "timeout":
            await _until_gone(receive, reply)
            _break_off(scope)
        elif kind == "reset":
            await _begin(send, reply, reply.body, compressed=False)
            await send({"type": "http.response.body", "body": reply.body[: len(reply.body) // 2], "more_body": True})
            _break_off(scope)
        elif kind == "cut_gzip":
            # a whole answer as HTTP sees it; what it holds was cut
            packed = gzip.compress(reply.body, mtime=0)
            await _send(send, reply, compressed=True, body=packed[: len(packed) // 2])
        elif kind == "drip":
            await _drip(send, reply)
        else:
            await _send(send, reply, compressed=compressed)

    async def _control(self, scope: Scope, path: str, receive: Receive) -> Reply:
        if not ipaddress.ip_address(scope["client"][0]).is_loopback:
            return _said(404, {"message": "Not found"})
        try:
            match scope["method"], path.removeprefix(CONTROL).rstrip("/"):
                case "GET", "":
                    pass
                case "POST", "/clock":
                    wanted = await _document(receive, dict)
                    at = wanted.pop("at", None)
                    self._sandbox.clock.change(at=None if at is None else from_iso(at), **wanted)
                case "POST", "/faults":
                    self._sandbox.faults.extend(await _document(receive, list))
                case _:
                    return _said(404, {"message": "Not found"})
        except (UsageError, ValueError, TypeError, AttributeError) as error:
            return _said(400, {"message": str(error)})
        return _said(200, self._sandbox.state())


@contextlib.contextmanager
def serving(sandbox: Sandbox, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve it, in a thread, for as long as the block lasts.

    Args:
        sandbox: what to serve.
        host: the address to listen on.
        port: 0 = any free one.

    Yields:
        Its URL.

    Raises:
        SetupError: ``PORT_UNUSABLE``.
    """
    with _listening(host, port) as listener:
        config = uvicorn.Config(
            Application(sandbox),
            http=_Protocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            # its log would quote every URL, and so every key
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="sandbox", daemon=True)
        thread.start()
        try:
            address = f"[{host}]" if ":" in host else host
            # connections wait in the listener until the loop runs
            yield f"http://{address}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _listening(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=128)
    except (OSError, OverflowError) as error:
        raise SetupError(
            "PORT_UNUSABLE", f"Nothing can listen on {host}, port {port}: {error}.", "Name another, or port 0 for any free one."
        ) from None


def _said(status: int, document: Any) -> Reply:
    return Reply(status, (("content-type", "application/json"),), json.dumps(document, ensure_ascii=False).encode())


async def _document(receive: Receive, kind: type) -> Any:
    data = b""
    while True:
        message = await receive()
        data += message.get("body", b"")
        if len(data) > _BODY_LIMIT:
            raise ValueError("the body is too long")
        if not message.get("more_body"):
            break
    document = json.loads(data)
    if not isinstance(document, kind):
        raise TypeError(f"the body is no JSON {'object' if kind is dict else 'array'}")
    return document


async def _begin(send: Send, reply: Reply, body: bytes, *, compressed: bool) -> None:
    headers = [*reply.headers, ("content-length", str(len(body))), ("vary", "Accept-Encoding")]
    if compressed:
        headers.append(("content-encoding", "gzip"))
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})


async def _send(send: Send, reply: Reply, *, compressed: bool, body: bytes | None = None) -> None:
    if body is None:
        body = gzip.compress(reply.body, mtime=0) if compressed else reply.body
    await _begin(send, reply, body, compressed=compressed)
    await send({"type": "http.response.body", "body": body})


async def _drip(send: Send, reply: Reply) -> None:
    assert reply.fault is not None
    await _begin(send, reply, reply.body, compressed=False)
    for place in range(len(reply.body)):
        await send({"type": "http.response.body", "body": reply.body[place : place + 1], "more_body": True})
        await asyncio.sleep(reply.fault.seconds)
    await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive, reply: Reply) -> None:
    """Say nothing until the caller hangs up, or the fault's seconds are over."""
    assert reply.fault is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(reply.fault.seconds):
            while (await receive())["type"] != "http.disconnect":
                pass


def _break_off(scope: Scope) -> None:
    """Reset the connection, as a machine that goes down does, rather than close it."""
    transport: asyncio.Transport = scope["state"]["transport"]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
