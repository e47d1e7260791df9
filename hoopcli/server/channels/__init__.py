"""Where approvers hear of requests: Slack, Teams, email and webhooks. Each message leads to the page; none answers."""
