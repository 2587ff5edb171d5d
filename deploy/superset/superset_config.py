"""Superset for a look at gold on this machine: its own state is in SUPERSET_HOME, and it calls no other host."""

import os
from pathlib import Path

from superset.config import TALISMAN_CONFIG

_HOME = Path(os.environ.get("SUPERSET_HOME") or Path.home() / ".superset")
_HOME.mkdir(mode=0o700, parents=True, exist_ok=True)
_KEY = _HOME / "secret_key"
if not _KEY.exists():
    _KEY.touch(mode=0o600)
    _KEY.write_bytes(os.urandom(32).hex().encode())

SECRET_KEY = _KEY.read_text()
SQLALCHEMY_DATABASE_URI = f"sqlite:///{_HOME / 'superset.db'}?check_same_thread=false"

# Superset's pages load a picture from elsewhere that counts who uses it, and maps from others: a browser asks this host alone.
TALISMAN_ENABLED = True
TALISMAN_CONFIG["content_security_policy"] |= {
    "img-src": ["'self'", "blob:", "data:"],
    "connect-src": ["'self'"],
    "style-src": ["'self'", "'unsafe-inline'"],
    "font-src": ["'self'", "data:"],
}
