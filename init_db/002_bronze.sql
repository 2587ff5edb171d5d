-- Bronze: what came, unchanged. Rows are only ever inserted.

create table bronze.batches (
    batch_id text primary key,
    scheduled_at timestamptz not null,
    plan_id text not null,
    plan jsonb not null,
    source text not null,
    exchange_count integer not null,
    -- over the canonical index entries (requests, coverage, times, status, body hashes): what "the same batch" means
    content_sha256 text not null
);
create index batches_moment on bronze.batches (scheduled_at);
comment on table bronze.batches is 'One sealed execution of a plan at one scheduled time.';

create table bronze.bodies (
    body_sha256 text primary key,
    byte_count integer not null,
    body bytea not null,
    -- null where the bytes are no JSON that PostgreSQL can hold
    document jsonb
);
-- lz4 takes a third of pglz's time; not every build of the server has it
do $$
begin
    alter table bronze.bodies alter column body set compression lz4, alter column document set compression lz4;
exception when feature_not_supported then
    null;
end
$$;
comment on table bronze.bodies is 'Response bodies byte for byte, once per content; document is the same body parsed.';

create table bronze.late_documents (
    body_sha256 text primary key references bronze.bodies,
    document jsonb not null
);
comment on table bronze.late_documents is 'Bodies that were no JSON by the contract they were loaded under, and are by a later one.';

create view bronze.documents as
select bodies.body_sha256, coalesce(bodies.document, late_documents.document) as document
from bronze.bodies as bodies
left join bronze.late_documents as late_documents on late_documents.body_sha256 = bodies.body_sha256;
comment on view bronze.documents is 'Each body parsed; null where it is no JSON that PostgreSQL can hold.';

create table bronze.exchanges (
    exchange_id uuid primary key,
    batch_id text not null references bronze.batches,
    place integer not null,
    attempt integer not null,
    endpoint text not null,
    sport_key text,
    event_id text,
    request jsonb not null,
    coverage jsonb not null,
    captured_at timestamptz not null,
    status integer,
    headers jsonb not null,
    body_sha256 text references bronze.bodies,
    failure_code text,
    failure_message text,
    unique (batch_id, place, attempt)
);
create index exchanges_time on bronze.exchanges (captured_at);
comment on table bronze.exchanges is 'A request, its place in the plan, the attempt, and what came back: an answer or a failure.';

create function bronze.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception 'bronze is append-only: % on %.% is refused', tg_op, tg_table_schema, tg_table_name
        using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or delete or truncate on bronze.batches
    for each statement execute function bronze.refuse_change();
create trigger append_only before update or delete or truncate on bronze.bodies
    for each statement execute function bronze.refuse_change();
create trigger append_only before update or delete or truncate on bronze.late_documents
    for each statement execute function bronze.refuse_change();
create trigger append_only before update or delete or truncate on bronze.exchanges
    for each statement execute function bronze.refuse_change();
