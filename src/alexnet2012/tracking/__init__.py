"""Tracking of trainings in MLflow, which is spoken to here and nowhere else.

Every event is written to an outbox beside the run before it is sent, so that a training never waits for a store, never
fails because of one, and reaches it in the end. Sending anything twice changes nothing, which is what makes it safe to
send again after a crash: a run is found by the key that its folder keeps, a metric by its key, step, value and time,
and the store that is in use is asked for its experiment afresh. A store that was lost or exchanged is filled again from
the outboxes.
"""

from alexnet2012.tracking.browser import log_tables, page_address, serve
from alexnet2012.tracking.outbox import RunLog, log_benchmarks, log_ensemble, log_results
from alexnet2012.tracking.store import TrackingIds, close_stale, initialise, tracking_uri

__all__ = [
    "RunLog",
    "TrackingIds",
    "close_stale",
    "initialise",
    "log_benchmarks",
    "log_ensemble",
    "log_results",
    "log_tables",
    "page_address",
    "serve",
    "tracking_uri",
]
