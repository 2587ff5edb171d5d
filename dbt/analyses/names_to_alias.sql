-- Names that no other book gives, beside those that they may mean: rows for the seed player_alias, once somebody has looked.
select
    names.sport_key,
    names.name_as_sent,
    names.reason,
    names.candidates,
    array_agg(distinct names.bookmaker_key order by names.bookmaker_key) as books,
    count(distinct names.event_id) as events
from {{ ref('unmatched_players') }} as names
group by names.sport_key, names.name_as_sent, names.reason, names.candidates
order by cardinality(names.candidates) > 0 desc, names.sport_key, names.name_as_sent, names.reason, names.candidates
