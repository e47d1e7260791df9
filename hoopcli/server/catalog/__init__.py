"""The policy and the catalog of connections: their revisions, and the signed bundle that brokers decide by."""
