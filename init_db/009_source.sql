-- Where facts come from: The Odds API, or a market that is simulated. No reader may take one for the other.

-- A batch says so itself, or each answer by a header, as those of the sandbox do; its calls are like any others.
create function ops.source_of(batch_source text, headers jsonb) returns text language sql immutable parallel safe
return case
    when batch_source = 'simulated' or headers ->> 'x-simulated' is not null then 'simulated'
    else 'the_odds_api'
end;
comment on function ops.source_of is 'Whose an answer is: simulated or the_odds_api; by its batch''s source and its own headers.';

create index batches_simulated on bronze.batches (batch_id) where source = 'simulated';
create index exchanges_simulated on bronze.exchanges (exchange_id) where headers ->> 'x-simulated' is not null;

-- Asked at each load. It ends at the first answer of that source; only where there is none it looks at all there is.
create function ops.holds_source(wanted text) returns boolean language sql stable
return case wanted
    when 'simulated' then
        exists (select from bronze.batches as batches where batches.source = 'simulated')
        or exists (select from bronze.exchanges as exchanges where exchanges.headers ->> 'x-simulated' is not null)
    else exists (
        select
        from bronze.batches as batches
        join bronze.exchanges as exchanges on exchanges.batch_id = batches.batch_id
        where exchanges.failure_code is null and ops.source_of(batches.source, exchanges.headers) = wanted
    )
end;
comment on function ops.holds_source is 'Whether the warehouse holds anything of this source; a call that failed has none, unless its header says simulated.';

revoke all on function ops.source_of, ops.holds_source from public;
grant execute on function ops.source_of, ops.holds_source to :"ingester", :"transformer";
