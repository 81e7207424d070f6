"""Running the graph on Apache Flink: the job server, a cluster on this machine, the command."""
