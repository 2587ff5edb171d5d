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

create table ops.batch_shapes (
    batch_id text not null references bronze.batches,
    -- with the parameters that change its shape, e.g. odds?includeLinks
    endpoint text not null,
    plan_id text not null,
    -- {"places": {path: {"objects": n, "fields": {name: {JSON type: [times, place in the plan]}}}},
    --  "words": {vocabulary: {path: {word: [times, place in the plan]}}}}
    shape jsonb not null,
    primary key (batch_id, endpoint)
);
create index batch_shapes_before on ops.batch_shapes (plan_id, endpoint, batch_id);
comment on table ops.batch_shapes is 'What each batch''s answers look like: fields, their JSON types, the keys they name.';

create table ops.shape_firsts (
    kind text not null,
    endpoint text not null,
    path text not null,
    name text not null,
    value text not null,
    -- the first in time of the batches that show it, in whatever order they were loaded; ids sort by time
    batch_id text not null references bronze.batches,
    place integer not null,
    primary key (kind, endpoint, path, name, value)
);
create index shape_firsts_batch on ops.shape_firsts (batch_id);
comment on table ops.shape_firsts is 'Everything that the shape of an answer ever showed, and the first batch that did.';

-- What pipeline/contracts/drift.py finds by comparing, from what is kept per batch: a late batch needs no repair.
create view ops.drift as
with fresh_types as (
    select
        batch_id, endpoint, path, name,
        string_agg(value, ', ' order by value) as types,
        min(place) as place
    from ops.shape_firsts
    where kind = 'type'
    group by batch_id, endpoint, path, name
),
-- a field is new only where its object was looked at before
new_fields as (
    select
        fresh.batch_id,
        case when known.types is null then 'field_new' else 'type_changed' end as kind,
        fresh.endpoint,
        fresh.path || case when fresh.path = '' or fresh.name in ('', '[]') then '' else '.' end || fresh.name as path,
        known.types as before,
        fresh.types as after,
        fresh.batch_id as example_batch_id,
        fresh.place as example_place
    from fresh_types as fresh
    cross join lateral (
        select string_agg(firsts.value, ', ' order by firsts.value) as types
        from ops.shape_firsts as firsts
        where firsts.kind = 'type' and firsts.endpoint = fresh.endpoint and firsts.path = fresh.path
            and firsts.name = fresh.name and firsts.batch_id < fresh.batch_id
    ) as known
    where known.types is not null
        or fresh.name not in ('', '[]') and exists (
            select 1 from ops.shape_firsts as places
            where places.kind = 'place' and places.endpoint = fresh.endpoint and places.path = fresh.path
                and places.batch_id < fresh.batch_id
        )
),
-- a word is new only where words of its kind were read before (each catalogue for itself); an error code, at an endpoint that
-- was asked before
words as (
    select
        kind, endpoint, path, value, batch_id, place,
        case when split_part(endpoint, '?', 1) in ('sports', 'event_markets') then endpoint else '' end as catalogue
    from ops.shape_firsts
    where kind not in ('place', 'type')
),
new_words as (
    select distinct on (words.batch_id, words.kind, words.value)
        words.batch_id,
        case words.kind when 'enum' then 'enum_value' else words.kind end || '_new' as kind,
        words.endpoint,
        words.path,
        null::text as before,
        words.value as after,
        words.batch_id as example_batch_id,
        words.place as example_place
    from words
    where not exists (
            select 1 from ops.shape_firsts as known
            where known.kind = words.kind and known.value = words.value and known.batch_id < words.batch_id
        )
        and case words.kind
            when 'error_code' then exists (
                select 1 from ops.shape_firsts as asked
                where asked.endpoint = words.endpoint and asked.batch_id < words.batch_id
            )
            else exists (
                select 1 from words as looked
                where looked.kind = words.kind and looked.catalogue = words.catalogue and looked.batch_id < words.batch_id
            )
        end
    order by words.batch_id, words.kind, words.value, words.endpoint, words.path
),
-- against the batch before it that asked the same: what every one of ten objects had there, and none of ten has here
gone_fields as (
    select
        later.batch_id,
        'field_gone' as kind,
        later.endpoint,
        places.path || case when places.path = '' then '' else '.' end || fields.name as path,
        had.types as before,
        null::text as after,
        earlier.batch_id as example_batch_id,
        had.place as example_place
    from ops.batch_shapes as later
    cross join lateral (
        select shapes.batch_id, shapes.shape
        from ops.batch_shapes as shapes
        where shapes.plan_id = later.plan_id and shapes.endpoint = later.endpoint and shapes.batch_id < later.batch_id
        order by shapes.batch_id desc
        limit 1
    ) as earlier
    cross join lateral jsonb_each(earlier.shape -> 'places') as places (path, found)
    cross join lateral jsonb_each(places.found -> 'fields') as fields (name, types)
    cross join lateral (
        select
            sum((types.seen ->> 0)::bigint) as times,
            string_agg(types.type, ', ' order by types.type) as types,
            min((types.seen ->> 1)::integer) as place
        from jsonb_each(fields.types) as types (type, seen)
    ) as had
    where (places.found ->> 'objects')::bigint >= 10
        and had.times = (places.found ->> 'objects')::bigint
        and (later.shape #>> array['places', places.path, 'objects'])::bigint >= 10
        and not (later.shape #> array['places', places.path, 'fields']) ? fields.name
)
select batch_id, kind, endpoint, path, before, after, example_batch_id, example_place from new_fields
union all
select batch_id, kind, endpoint, path, before, after, example_batch_id, example_place from new_words
union all
select batch_id, kind, endpoint, path, before, after, example_batch_id, example_place from gone_fields;
comment on view ops.drift is 'What each batch brought that no batch before it in time showed, and the fields it came without.';

create table ops.charges (
    exchange_id uuid primary key references bronze.exchanges,
    -- of the API's own clock: a historical answer is dated by its envelope
    day date not null,
    -- credits by the API's rules, from what came; null where that cannot be told
    computed integer,
    -- credits by the answer's own headers; null where they do not say
    reported integer,
    -- credits that a lost answer may have cost
    doubtful integer not null
);
create index charges_day on ops.charges (day);
comment on table ops.charges is 'What each call of our own cost; an import has no line.';

create view ops.credits as
select
    charges.day,
    exchanges.endpoint,
    exchanges.sport_key,
    count(*) as calls,
    coalesce(sum(charges.computed), 0) as computed,
    coalesce(sum(charges.reported), 0) as reported,
    coalesce(sum(charges.reported - charges.computed), 0) as difference,
    sum(charges.doubtful) as doubtful
from ops.charges as charges
join bronze.exchanges as exchanges on exchanges.exchange_id = charges.exchange_id
group by charges.day, exchanges.endpoint, exchanges.sport_key;
comment on view ops.credits is 'Credits spent per day, endpoint and sport: by the rules, by the API''s word, and where the two differ.';

create view ops.batch_health as
select
    batches.batch_id,
    batches.scheduled_at,
    states.state,
    states.detail,
    states.changed_at,
    batches.exchange_count as exchanges,
    answers.answers,
    batches.exchange_count - answers.answers as failures,
    answers.quarantined,
    answers.released,
    answers.waived,
    answers.withdrawn,
    answers.with_findings,
    checks.failed_checks,
    answers.latest_waiver_reason
from bronze.batches as batches
join ops.batch_states as states on states.batch_id = batches.batch_id
cross join lateral (
    select
        count(*) as answers,
        count(*) filter (where standing.verdict = 'quarantined') as quarantined,
        count(*) filter (where standing.verdict = 'released') as released,
        count(*) filter (where standing.verdict = 'waived') as waived,
        count(*) filter (where standing.verdict = 'withdrawn') as withdrawn,
        count(*) filter (where ledger.admitted and standing.findings <> '[]') as with_findings,
        (array_agg(standing.reason order by standing.decided_at desc, ledger.exchange_id)
            filter (where standing.verdict = 'waived'))[1] as latest_waiver_reason
    from ops.ledger as ledger
    cross join lateral (
        select verdicts.verdict, verdicts.findings, verdicts.reason, verdicts.decided_at
        from ops.verdicts as verdicts
        where verdicts.exchange_id = ledger.exchange_id
        order by verdicts.verdict_no desc
        limit 1
    ) as standing
    where ledger.batch_id = batches.batch_id
) as answers
cross join lateral (
    select count(*) as failed_checks
    from ops.check_results as results
    where results.batch_id = batches.batch_id
        and results.status = 'fail'
        -- what an earlier run noted under a name that this one has not is history
        and results.checked_at >= states.changed_at
) as checks;
comment on view ops.batch_health is 'How each batch stands: its answers by their last verdict, and its failed checks.';
