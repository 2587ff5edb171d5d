"""Bootstrap of a database: schemas, roles, tables and rights, as ordered SQL migrations. Run it as often as you like."""

from init_db.bootstrap import Migration, Outcome, bootstrap, grant_database, migrations

__all__ = ["Migration", "Outcome", "bootstrap", "grant_database", "migrations"]
