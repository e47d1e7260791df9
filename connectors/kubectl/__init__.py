"""The Kubernetes connector: requests to an API server, its objects and its streams."""
