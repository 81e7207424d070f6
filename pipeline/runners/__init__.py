"""Where the graph runs: processes of this machine, Flink, Dataflow."""
