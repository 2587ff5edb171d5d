-- Schemas, who owns them, and the book of applied migrations. The roles themselves belong to the server, not to one
-- database: the bootstrap makes them before this file runs, and puts their names where :"reader" and the like stand.

create schema bronze;
comment on schema bronze is 'Answers as they came, append-only.';

create schema silver authorization :"transformer";
comment on schema silver is 'Typed rows, one staging table per endpoint.';

create schema gold authorization :"transformer";
comment on schema gold is 'Conformed tables that analysts read.';

create schema ops;
comment on schema ops is 'Verdicts, progress, proof.';

create table ops.migrations (
    name text primary key,
    -- of the file's bytes, before role names are put in
    sha256 text not null,
    role_prefix text not null
);
comment on table ops.migrations is 'The migrations that this database has had, in order of name.';
