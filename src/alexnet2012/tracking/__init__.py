"""Publishing of results in MLflow; no other package talks to MLflow.

`contents` composes a run's tags, params, metrics and files from its result files; `publish` sends them; `store` opens
the store and handles its outages; `browser` starts the web server and gives addresses of pages. Publishing is
idempotent: repeating it changes nothing, and the next call publishes what the store lacks.
"""
