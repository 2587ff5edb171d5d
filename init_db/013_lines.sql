-- What of a touched event a run looks at: all of it, or the series and lines that the pending answers bear on.
alter table ops.touched_events add column is_whole boolean not null default true;
comment on column ops.touched_events.is_whole is
    'Whether all its series and lines are looked at: something of it began or ended in the tail before this run, or nothing of it is stored.';

alter table ops.touched_events add column answers integer not null default 0;
comment on column ops.touched_events.answers is 'How many pending answers with odds show the event, or cover it without showing what stands of it.';

-- Unlogged: they live only within the transaction that fills them.
create unlogged table ops.touched_series (
    event_id text not null,
    series_id uuid not null,
    line_rank integer not null
);
comment on table ops.touched_series is 'Series of touched events that are not looked at whole: of what the pending answers say, all but what repeats the answer before.';

create unlogged table ops.touched_lines (
    event_id text not null,
    -- market, description and line point in one; the same without the point
    line_key text not null,
    market_line text not null
);
comment on table ops.touched_lines is 'Lines of touched events that are not looked at whole, on which the run changed a row of price_history.';

grant create on schema ops to :"transformer";
alter table ops.touched_series owner to :"transformer";
alter table ops.touched_lines owner to :"transformer";
revoke create on schema ops from :"transformer";
