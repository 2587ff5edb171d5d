"""What is wrong with an export is found without a database: a byte, a file, the manifest, a row that was written wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from pipeline.errors import SetupError
from pipeline.export.extra import FORMATS
from pipeline.export.manifest import MANIFEST, ExportedFile
from pipeline.export.verify_export import ExportCheck, verify_export
from pipeline.export.writers import file_of
from pipeline.recording.seals import sealed
from pipeline.warehouse.connect import Warehouse
from tests.export.gold_of_batches import export, manifest_of

every_format = pytest.mark.parametrize("format", FORMATS)


def codes(check: ExportCheck) -> list[tuple[str, str]]:
    return [(fault.code, fault.path) for fault in check.faults]


@every_format
def test_one_flipped_byte_is_found_wherever_it_is(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    export(bundled, lake, "events", "sports", format=format)
    assert verify_export(lake).exit_code == 0
    for path in [next(iter(manifest_of(lake).files)), MANIFEST]:
        whole = (lake / path).read_bytes()
        for place, bit in ((0, 1), (len(whole) // 3, 128), (len(whole) // 2, 1), (len(whole) - 1, 4)):
            (lake / path).write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            check = verify_export(lake)
            code = "MANIFEST_CHANGED" if path == MANIFEST else "FILE_CHANGED"
            assert (codes(check), check.exit_code) == ([(code, path)], 1), place
        (lake / path).write_bytes(whole)
    assert codes(verify_export(lake)) == []


@every_format
def test_missing_extra_and_longer_files_are_found(format: str, bundled: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    export(bundled, lake, "moves", "events", format=format)
    first = next(iter(manifest_of(lake).files))
    (lake / "notes.txt").write_text("x")
    assert codes(verify_export(lake)) == [("FILE_EXTRA", "notes.txt")]
    (lake / "notes.txt").unlink()
    whole = (lake / first).read_bytes()
    (lake / first).write_bytes(whole + b"\0")
    check = verify_export(lake)
    assert codes(check) == [("FILE_CHANGED", first)]
    assert "bytes, not" in check.faults[0].message
    (lake / first).unlink()
    assert codes(verify_export(lake)) == [("FILE_MISSING", first)]
    # what is no longer sealed is not trusted
    manifest = json.loads((lake / MANIFEST).read_bytes())
    del manifest["files"][first]
    (lake / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    assert codes(verify_export(lake)) == [("MANIFEST_CHANGED", MANIFEST)]


def resealed(lake: Path, path: str) -> None:
    """Let the manifest name a file's bytes as they are, as somebody who wrote it wrong would."""
    manifest = json.loads((lake / MANIFEST).read_bytes())
    file: ExportedFile = file_of(lake / path)
    manifest["files"][path] = {"bytes": file.bytes, "sha256": file.sha256}
    del manifest["seal"]
    (lake / MANIFEST).write_bytes(sealed(manifest)[0])


def in_parquet(file: Path) -> None:
    table = parquet.read_table(file, partitioning=None)
    place = next(number for number, each in enumerate(table.schema.types) if pa.types.is_decimal(each))
    changed = pc.negate(table.column(place))
    assert changed != table.column(place)
    parquet.write_table(table.set_column(place, table.schema.field(place), changed), file)


def in_csv(file: Path) -> None:
    # a null becomes an empty text
    head, first, rest = file.read_text(encoding="utf-8").split("\n", 2)
    assert ",," in first
    file.write_text("\n".join((head, first.replace(",,", ',"",', 1), rest)), encoding="utf-8")


def in_database(file: Path) -> None:
    with duckdb.connect(str(file)) as database:
        database.execute(
            "update moves set changed_at = changed_at + interval 1 microsecond"
            " where event_id = (select min(event_id) from moves)"
        )


@pytest.mark.parametrize(("format", "change"), [("parquet", in_parquet), ("csv", in_csv), ("duckdb", in_database)])
def test_rows_that_were_written_wrong_are_found_by_duckdb(
    format: str, change: Callable[[Path], None], bundled: Warehouse, tmp_path: Path
) -> None:
    lake = tmp_path / "lake"
    export(bundled, lake, "moves", format=format)
    path = next(iter(manifest_of(lake).files))
    change(lake / path)
    resealed(lake, path)
    check = verify_export(lake)
    if format == "duckdb":
        assert codes(check) == [("TABLE_DIFFERS", "gold.moves")]
    elif format == "parquet":
        assert codes(check) == [("ROWS_DIFFER", path)]
    else:
        # an empty text is no number; in a column of texts it is another row
        assert codes(check) in ([("ROWS_DIFFER", path)], [("FILE_UNREADABLE", path)])
    assert check.exit_code == 1


def test_a_file_that_is_of_another_kind_is_unreadable(bundled: Warehouse, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    export(bundled, lake, "moves")
    path = next(iter(manifest_of(lake).files))
    (lake / path).write_bytes(b"not parquet at all")
    resealed(lake, path)
    assert codes(verify_export(lake)) == [("FILE_UNREADABLE", path)]


def test_a_folder_without_an_export_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path, tmp_path / "none", tmp_path / "file"):
        with pytest.raises(SetupError) as caught:
            verify_export(folder)
        assert caught.value.code == "EXPORT_NOT_FOUND"


def test_an_export_of_a_newer_version_is_told(bundled: Warehouse, tmp_path: Path) -> None:
    export(bundled, tmp_path / "lake", "sports")
    manifest = json.loads((tmp_path / "lake" / MANIFEST).read_bytes())
    del manifest["seal"]
    (tmp_path / "lake" / MANIFEST).write_bytes(sealed({**manifest, "schema_version": 2})[0])
    with pytest.raises(SetupError) as caught:
        verify_export(tmp_path / "lake")
    assert caught.value.code == "EXPORT_FORMAT_NEWER"
