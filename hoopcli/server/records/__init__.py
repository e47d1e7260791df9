"""What brokers recorded, found again: an index made as records come in, searches, sessions, and proofs of them."""
