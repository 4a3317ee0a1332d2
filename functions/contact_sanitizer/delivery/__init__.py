"""Use cases of senders: who may fetch, deliver now, redeem tokens, tell who has refused since."""
