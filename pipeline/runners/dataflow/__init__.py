"""The job on Google Dataflow: the command, what is special about its jobs, and its workers."""
