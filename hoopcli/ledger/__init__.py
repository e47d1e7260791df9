"""The ledger: canonical records in a Merkle tree, signed checkpoints, payloads, and their verification."""
