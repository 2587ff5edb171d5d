-- Of an answer of bets or predictions one entry is held back, as of other lists.
alter table ops.elements drop constraint elements_kind_check;
alter table ops.elements add constraint elements_kind_check
    check (kind in ('event', 'bookmaker', 'market', 'sport', 'participant', 'bet', 'prediction'));
