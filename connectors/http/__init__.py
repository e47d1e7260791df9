"""HTTP/1.1 between a client and an upstream, one exchange at a time, on h11 in both roles."""
