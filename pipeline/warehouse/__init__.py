"""PostgreSQL: how to reach it, the embedded server, databases, roles."""
