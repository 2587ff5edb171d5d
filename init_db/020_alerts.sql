-- What somebody may want to be told of, as each batch comes. It is no part of gold: what was told stays, whatever comes late.
create table ops.alerts (
    alert_id text primary key,
    kind text not null,
    batch_id text not null references bronze.batches,
    raised_at timestamptz not null,
    event_id text,
    message text not null,
    row_table text not null,
    row_key jsonb not null,
    sent_at timestamptz
);
create index alerts_unsent on ops.alerts (raised_at) where sent_at is null;
comment on table ops.alerts is 'What each batch gave cause to tell, once for each cause.';
comment on column ops.alerts.alert_id is 'sha256 of kind and cause: the same cause is told once.';
comment on column ops.alerts.kind is 'steam, arbitrage, book_quiet, close_missed, credits_low or withheld.';
comment on column ops.alerts.batch_id is 'The batch that gave cause.';
comment on column ops.alerts.raised_at is 'Its time.';
comment on column ops.alerts.event_id is 'The game that it is about; null where it is about none.';
comment on column ops.alerts.message is 'For people.';
comment on column ops.alerts.row_table is 'The table of the row that it stands on.';
comment on column ops.alerts.row_key is 'Columns of that row that tell which it is.';
comment on column ops.alerts.sent_at is 'When a live run sent it; null where nobody asked for that.';

grant select, insert on ops.alerts to :"transformer";
grant select, update (sent_at) on ops.alerts to :"ingester";
grant select on ops.alerts to :"reader";

create function ops.iso(moment timestamptz) returns text language sql stable parallel safe
return to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
comment on function ops.iso is 'A time as ISO 8601 in UTC, whatever the session''s settings.';

create function ops.game_name(event_id text, home_team text, away_team text) returns text language sql immutable parallel safe
return coalesce(away_team || ' at ' || home_team, event_id);
comment on function ops.game_name is 'A game for people: its teams, or its id.';
revoke all on function ops.iso, ops.game_name from public;
grant execute on function ops.iso, ops.game_name to :"transformer";
