"""Send what live runs gave cause to tell to a webhook: each alert once, and only what is news."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import requests

from pipeline.clock import Clock, to_iso
from pipeline.secret import Secret
from pipeline.warehouse.connect import Role, Warehouse

# What is older is no news, such as of a recording that is loaded late.
NEWS: Final = dt.timedelta(days=1)
# So many go into one message; what is left goes with the next.
MOST: Final = 50
TIMEOUT: Final = (5.0, 10.0)

_UNSENT: Final = """
select alerts.alert_id, alerts.kind, alerts.raised_at, alerts.message, alerts.row_table, alerts.row_key
from ops.alerts as alerts
join bronze.batches as batches on batches.batch_id = alerts.batch_id
where alerts.sent_at is null and alerts.raised_at > %s and alerts.kind = any (%s) and batches.plan_id = %s
order by alerts.raised_at, alerts.kind, alerts.alert_id
limit %s
for update of alerts skip locked
"""


@dataclass(frozen=True, slots=True)
class Alert:
    """One row of ``ops.alerts``.

    Attributes:
        alert_id: of its kind and cause.
        kind: such as ``steam``.
        raised_at: the time of the batch that gave cause.
        message: for people.
        row_table: the table of the row that it stands on.
        row_key: the columns that tell which row that is.
    """

    alert_id: str
    kind: str
    raised_at: dt.datetime
    message: str
    row_table: str
    row_key: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As the webhook gets it."""
        return {
            "kind": self.kind,
            "at": to_iso(self.raised_at),
            "message": self.message,
            "table": self.row_table,
            "key": self.row_key,
        }


def refused_by(webhook: Secret, document: dict[str, Any]) -> str | None:
    """Post a document to a webhook.

    Returns:
        The kind of error where it did not take it, without a text, which may hold the address, and the address a token.
    """
    try:
        requests.post(webhook.reveal(), json=document, timeout=TIMEOUT).raise_for_status()
    except requests.RequestException as error:
        return type(error).__name__
    return None


def send_alerts(
    warehouse: Warehouse,
    webhook: Secret | None,
    kinds: Sequence[str],
    plan_id: str,
    clock: Clock,
    tell: Callable[[str], None],
) -> int:
    """Send the alerts of a plan's batches that nobody was sent, in one message.

    They are marked once the webhook has taken them; what it does not take is sent with the next.

    Args:
        warehouse: that has them.
        webhook: where to; without it they are told alone.
        kinds: of what the plan asks to be told.
        plan_id: of the plan, so that no recording that is loaded beside it speaks.
        clock: tells what is news, and when it was sent.
        tell: told of each alert, and of a webhook that refuses, without its address.

    Returns:
        How many were told.
    """
    if not kinds:
        return 0
    with warehouse.connect(Role.INGESTER) as connection:
        rows = connection.execute(_UNSENT, [clock.now() - NEWS, list(kinds), plan_id, MOST]).fetchall()
        alerts = [Alert(*row) for row in rows]
        if not alerts:
            return 0
        for alert in alerts:
            tell(f"alert {alert.kind}: {alert.message}")
        if webhook is not None:
            text = "\n".join(f"{alert.kind}: {alert.message}" for alert in alerts)
            document = {"text": text, "alerts": [alert.to_json() for alert in alerts]}
            if refused := refused_by(webhook, document):
                tell(f"The webhook did not take {len(alerts)} alerts: {refused}; they go with the next.")
                return len(alerts)
        sent = [alert.alert_id for alert in alerts]
        connection.execute("update ops.alerts set sent_at = %s where alert_id = any (%s)", [clock.now(), sent])
        connection.commit()
    return len(alerts)
