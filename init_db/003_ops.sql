-- Ops: verdicts, progress, proof. The only schema that may hold wall-clock times.

create table ops.verdicts (
    exchange_id uuid not null references bronze.exchanges,
    verdict_no integer not null,
    verdict text not null check (
        verdict in ('accepted', 'accepted_with_findings', 'quarantined', 'released', 'waived', 'withdrawn')
    ),
    findings jsonb not null,
    contract_version text not null,
    reason text,
    decided_at timestamptz not null,
    primary key (exchange_id, verdict_no)
);
comment on table ops.verdicts is 'Each answer''s verdicts in order, append-only; the last one counts.';

create table ops.ledger (
    exchange_id uuid primary key references bronze.exchanges,
    batch_id text not null references bronze.batches,
    -- outcome objects in the body, counted in Python as it was judged
    outcomes integer not null,
    -- what the last verdict says
    admitted boolean not null,
    -- what silver and gold hold; moves in the transaction that moves their rows
    applied boolean not null default false
);
create index ledger_batch on ops.ledger (batch_id);
create index ledger_unsettled on ops.ledger (exchange_id) where admitted <> applied;
comment on table ops.ledger is 'Every answer with a body: whether it is admitted, and whether its rows are in silver and gold.';

create table ops.batch_states (
    batch_id text primary key references bronze.batches,
    state text not null check (state in ('sealed', 'published', 'withheld')),
    detail text,
    changed_at timestamptz not null
);
comment on table ops.batch_states is 'Sealed in bronze, published in gold, or withheld by a failed check.';

create table ops.run_batches (batch_id text primary key);
comment on table ops.run_batches is 'The batches that the transformation at hand applies; empty = all that are not withheld.';

create table ops.pending (
    exchange_id uuid primary key,
    admitted boolean not null
);
comment on table ops.pending is 'Answers whose rows the transformation at hand adds (admitted) or takes away.';

create table ops.touched_events (
    event_id text primary key,
    sport_key text not null,
    tail_from timestamptz not null
);
comment on table ops.touched_events is 'Events that the pending answers touch, and from when on their rows are computed anew.';

-- Unlogged: it lives only within the transaction that fills it.
create unlogged table ops.row_changes (
    table_name text not null,
    scope_key text not null,
    old_row jsonb,
    new_row jsonb
);
comment on table ops.row_changes is 'The gold rows that the transformation at hand added, changed or removed.';

create table ops.event_digests (
    table_name text not null,
    -- the event, or the row's own key in tables that are not about events
    scope_key text not null,
    row_count bigint not null,
    digest text not null,
    primary key (table_name, scope_key)
);
comment on table ops.event_digests is 'sha256 of each event''s rows in each stored gold table.';

create table ops.fingerprints (
    model text primary key,
    fingerprint text not null
);
comment on table ops.fingerprints is 'The code (SQL, macros, seeds, columns) that computed each stored model''s rows.';

create table ops.check_results (
    batch_id text not null references bronze.batches,
    check_name text not null,
    status text not null,
    failures bigint not null,
    message text,
    checked_at timestamptz not null,
    primary key (batch_id, check_name)
);
comment on table ops.check_results is 'The outcome of each check of each batch, the newest run''s.';
