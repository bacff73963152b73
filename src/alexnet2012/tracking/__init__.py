"""Publishing of results in MLflow, which is spoken to here and nowhere else.

`contents` composes what a run shows from the files of its result, `publish` brings it into the store, `store` knows
where that is and bears its outages, `browser` leads to its pages. What is published again changes nothing; what the
store lacks is published by the next call.
"""
