-- Every game of the last week with its no-vig close, how far it came from the opening, and the score.
-- "Last" is by the newest game in the warehouse that has begun.
with newest as (
    select max(start_at) as start_at from {{ ref('game_lines') }} where h2h_close_status <> 'provisional'
)

select
    games.start_at,
    games.sport_key,
    games.home_team,
    games.away_team,
    round(games.h2h_opening_probability_home, 4) as opening_probability_home,
    round(games.h2h_closing_probability_home, 4) as closing_probability_home,
    round(games.h2h_closing_probability_draw, 4) as closing_probability_draw,
    games.h2h_closing_price_home as closing_price_home,
    games.h2h_closing_price_away as closing_price_away,
    games.spreads_opening_line_point,
    games.spreads_closing_line_point,
    games.totals_opening_line_point,
    games.totals_closing_line_point,
    games.home_score,
    games.away_score
from {{ ref('game_lines') }} as games
cross join newest
where games.h2h_close_status in ('ok', 'aged') and games.start_at > newest.start_at - interval '7 days'
    and games.start_at <= newest.start_at
order by games.start_at, games.sport_key, games.home_team, games.event_id
