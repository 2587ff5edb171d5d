-- Where to begin to look for what an event's answers said, so that a look-up need not go through every month there is.
alter table ops.touched_events add column seen_from timestamptz not null default '-infinity';
comment on column ops.touched_events.seen_from is 'No answer of before shows the event.';
