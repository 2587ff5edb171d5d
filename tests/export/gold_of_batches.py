"""What the tests of files share: exports of a warehouse, and what lies in a folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.export.manifest import Manifest, read_manifest
from pipeline.export.readable import EVERYTHING, Wanted, named, readable
from pipeline.export.write_export import ExportSummary, write_export
from pipeline.warehouse.connect import Warehouse


def export(warehouse: Warehouse, out: Path, *names: str, format: str = "parquet", wanted: Wanted = EVERYTHING) -> ExportSummary:
    """Export the named relations, or all that are stored."""
    tables = named(names) if names else tuple(one for one in readable().values() if not one.relation.is_view)
    return write_export(warehouse, out, tables, format, wanted)


def manifest_of(out: Path) -> Manifest:
    found = read_manifest(out)
    assert found is not None
    return found


def stamps(out: Path) -> dict[str, tuple[int, str]]:
    """Of each file below a folder when it was written, and a hash of its bytes."""
    return {
        path.relative_to(out).as_posix(): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(out.rglob("*"))
        if path.is_file()
    }
