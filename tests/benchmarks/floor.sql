-- The floor: the least that any pipeline of this kind does with an answer, in four steps. It copies the body in and casts it to
-- jsonb, flattens it into a plain table, inserts one row per outcome under an md5 key and three indexes, and finds what changed
-- since the answer before by one lag. No contract, no check, no coverage, no late answer, no gold. What a batch costs is told as a multiple of it, so this file stays as it is: whoever changes it
-- changes the meaning of every figure that was measured before.

-- section: tables
create schema floor;
create table floor.plain (answer_id text, body text);
create table floor.answers (
    answer_id text primary key,
    captured_at timestamptz not null,
    body text not null,
    document jsonb generated always as (body::jsonb) stored
);
create temporary table flat (
    answer_id text,
    captured_at timestamptz,
    event_id text,
    bookmaker_key text,
    market_key text,
    outcome_name text,
    description text,
    point numeric,
    price numeric,
    last_update timestamptz
) on commit delete rows;
create table floor.quotes (
    quote_key text primary key,
    series_key text not null,
    answer_id text not null,
    captured_at timestamptz not null,
    event_id text not null,
    bookmaker_key text not null,
    market_key text not null,
    outcome_name text not null,
    description text,
    point numeric,
    price numeric,
    last_update timestamptz
);
create index on floor.quotes (series_key, captured_at);
create index on floor.quotes (event_id, captured_at);
create index on floor.quotes (captured_at);
create table floor.changes (series_key text, captured_at timestamptz, price numeric, point numeric);

-- section: plain
copy floor.plain (answer_id, body) from stdin;

-- section: answers
copy floor.answers (answer_id, captured_at, body) from stdin;

-- section: flat
insert into flat
select
    answer.answer_id,
    answer.captured_at,
    event.id,
    book.key,
    market.key,
    outcome.name,
    outcome.description,
    outcome.point,
    outcome.price,
    coalesce(market.last_update, book.last_update)
from floor.answers as answer
cross join lateral (
    select coalesce(case when jsonb_typeof(answer.document) = 'object' then answer.document -> 'data' end, answer.document)
) as told (it)
cross join lateral jsonb_to_recordset(
    case when jsonb_typeof(told.it) = 'array' then told.it else jsonb_build_array(told.it) end
) as event (id text, bookmakers jsonb)
cross join lateral jsonb_to_recordset(event.bookmakers) as book (key text, last_update timestamptz, markets jsonb)
cross join lateral jsonb_to_recordset(book.markets) as market (key text, last_update timestamptz, outcomes jsonb)
cross join lateral jsonb_to_recordset(market.outcomes) as outcome (name text, description text, point numeric, price numeric)
where answer.answer_id = any (%(answer_ids)s);

-- section: quotes
insert into floor.quotes
select
    md5(concat_ws('|', answer_id, event_id, bookmaker_key, market_key, outcome_name, description, point)),
    md5(concat_ws('|', event_id, bookmaker_key, market_key, outcome_name, description)),
    answer_id,
    captured_at,
    event_id,
    bookmaker_key,
    market_key,
    outcome_name,
    description,
    point,
    price,
    last_update
from flat
on conflict do nothing;

-- section: changes
insert into floor.changes
select seen.series_key, seen.captured_at, seen.price, seen.point
from (
    select
        quotes.*,
        lag(row(quotes.price, quotes.point)) over (partition by quotes.series_key order by quotes.captured_at) as told_before
    from floor.quotes as quotes
    where quotes.captured_at >= coalesce(
        (select max(earlier.captured_at) from floor.quotes as earlier where earlier.captured_at < %(since)s), '-infinity'
    )
) as seen
where seen.captured_at >= %(since)s and seen.told_before is distinct from row(seen.price, seen.point);
