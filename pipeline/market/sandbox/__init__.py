"""The simulated market over HTTP, with the protocol of The Odds API v4: for trying a live run without a key.

``protocol`` reads a request line, ``account`` counts credits and calls, ``service`` makes of a request an answer (what the
market says, after key, rate and credits were checked), ``faults`` names what can go wrong on demand, ``sandbox_clock`` is a
time that can be stepped and sped up, and ``server`` is the rim: sockets, compression, and the faults of the transport.

Outside of ``/v4``, and for callers on this machine only:

- ``GET /sandbox``: time, rate of the clock, credits, faults that wait, and the calls so far.
- ``POST /sandbox/clock``: ``{"at": "2026-01-04T17:00:00Z", "step": 300, "rate": 60}``, each of them optional.
- ``POST /sandbox/faults``: ``["500", "ok", "event_odds:reset"]``, for the calls to come.
"""
