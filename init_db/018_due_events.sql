-- Hindsight is stored once an event's start is reached; which events that bears on is found in each run.
-- Unlogged: they live only within the transaction that fills them.
create unlogged table ops.due_events (
    event_id text not null,
    is_reached boolean not null
);
comment on table ops.due_events is 'Events whose stored hindsight a run looks at, and whether their start is reached.';

create unlogged table ops.due_lines (
    event_id text not null,
    line_key text not null
);
comment on table ops.due_lines is 'Lines of begun events on which a run found an outcome that no grade is stored of.';

-- what silver.coverage is about to lose, as it stood before the run
create unlogged table ops.coverage_taken (
    sport_key text not null,
    event_id text not null,
    moment_at timestamptz not null,
    captured_at timestamptz not null,
    markets text [] not null,
    books text [] not null,
    commence_from timestamptz,
    commence_to timestamptz,
    held_back text [] not null
);
comment on table ops.coverage_taken is 'What the pending answers covered before this run: of those that are taken away, or come in otherwise.';

create unlogged table ops.quotes_taken (
    event_id text not null,
    quote_at timestamptz not null
);
comment on table ops.quotes_taken is 'When the earliest quote of an event was read, of what the pending answers said of it before this run.';

grant create on schema ops to :"transformer";
alter table ops.due_events owner to :"transformer";
alter table ops.due_lines owner to :"transformer";
alter table ops.coverage_taken owner to :"transformer";
alter table ops.quotes_taken owner to :"transformer";
revoke create on schema ops from :"transformer";
