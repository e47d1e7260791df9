"""The parts of a small Kubernetes cluster in memory, which is the upstream of tests."""
