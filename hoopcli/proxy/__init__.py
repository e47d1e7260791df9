"""The data path: listener, runner, dialling, and the policy enforcement point."""
