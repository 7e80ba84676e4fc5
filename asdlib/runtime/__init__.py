"""What a process runs on: errors, signals, streams, hardware, threads. Cannot change a number."""
