{{ config(
    row_key=['line_id'],
    scope=rows_of_due_gradings(),
    scope_key='event_id',
    indexes=[{'columns': ['event_id']}, {'columns': ['sport_key', 'start_at']}],
    pre_hook="{{ find_due_lines() }}",
) }}
-- How a bet on each outcome that a book ever quoted is settled, or why nobody can say.
{{ outcome_grades_of(due_gradings()) }}
