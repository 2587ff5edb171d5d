{{ config(
    row_key=['event_id'],
    scope="t.event_id = any (array(" ~ games_of_run() ~ "))",
    scope_key='event_id',
    indexes=[{'columns': ['sport_key', 'start_at']}],
) }}
-- One row per game: who plays, how each of its three lines opened and closed, and how it ended.
{{ games_with_lines(
    "(select found.* from (" ~ games_of_run() ~ ") as looked_at join " ~ ref('events') ~ " as found on found.event_id = looked_at.event_id)",
    is_reached('games'),
    'games.start_is_suspect',
    ref('closing_consensus'),
    ref('market_openings'),
) }}
