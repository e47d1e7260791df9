"""The control plane: identity, sync and witness, approvals, and the pages for approvers and auditors."""
