"""Approvals over the server: what waits for people, wherever they and the brokers are."""
