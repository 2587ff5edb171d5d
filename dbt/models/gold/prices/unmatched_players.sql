{{ config(materialized='view') }}
-- What to look at by hand, and to put into player_alias where two names mean one.
select event_id, sport_key, kind, bookmaker_key, name_as_sent, normalised_name, reason, candidates
from {{ ref('players') }}
where match = 'unmatched'
