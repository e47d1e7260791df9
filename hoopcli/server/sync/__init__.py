"""Ledgers of brokers, kept a second time: enrolment, batches, and the witness that cosigns their checkpoints."""
