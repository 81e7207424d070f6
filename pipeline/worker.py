"""A local worker process: Beam's own, but without its start-up notices."""

import logging

# Said once by every worker about things that are as they should be here.
CHATTER = ("apache_beam.options.pipeline_options", "apache_beam.runners.worker.sdk_worker_main")

if __name__ == "__main__":
    # Logs reach the launcher through Beam's logging service and are shown there, and only there.
    logging.getLogger().addHandler(logging.NullHandler())
    for name in CHATTER:
        logging.getLogger(name).setLevel(logging.ERROR)
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])
