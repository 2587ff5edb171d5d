"""What code computed a stored row: a hash per model and seed, kept in the warehouse.

A model's fingerprint covers its SQL, its columns and how it is written; a seed's its contents; and each the macros of the
project, all of them, as what a macro calls cannot be told from its text. Packages are held to their behaviour by tests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import psycopg2.extensions

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

PROJECT = "sports_market"


def fingerprints(manifest: Manifest) -> dict[str, str]:
    """Name of each model and seed of the project → hex sha256."""
    macros = _hash(sorted((key, macro.macro_sql) for key, macro in manifest.macros.items() if macro.package_name == PROJECT))
    found = {}
    for node in manifest.nodes.values():
        if node.package_name != PROJECT or str(node.resource_type) not in ("model", "seed"):
            continue
        config: Any = node.config
        found[node.name] = _hash(
            [
                macros,
                node.raw_code,
                node.checksum.checksum,
                [(column.name, column.data_type) for column in node.columns.values()]
                if str(node.resource_type) == "model"
                else [],
                {
                    key: str(config.get(key))
                    for key in ("materialized", "row_key", "scope", "scope_key", "by_month", "indexes", "column_types")
                },
            ]
        )
    return found


def stored_fingerprints(session: psycopg2.extensions.connection) -> dict[str, str]:
    """The fingerprints of the code that made the relations in the warehouse; empty where there are none."""
    with session.cursor() as cursor:
        cursor.execute("select model, fingerprint from ops.fingerprints")
        return dict(cursor.fetchall())


def write_fingerprints(session: psycopg2.extensions.connection, values: Mapping[str, str]) -> None:
    """Replace them; the caller commits."""
    with session.cursor() as cursor:
        cursor.execute("delete from ops.fingerprints")
        cursor.execute(
            "insert into ops.fingerprints (model, fingerprint) select * from unnest(%s::text[], %s::text[])",
            [list(values.keys()), list(values.values())],
        )


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
