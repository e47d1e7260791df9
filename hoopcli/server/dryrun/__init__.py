"""What a draft of the policy would have changed: last week's statements, decided by it and by the policy that holds."""
