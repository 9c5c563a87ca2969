"""Exact counts: the closed form, the ledger of executed operations, and the witnesses of both."""
