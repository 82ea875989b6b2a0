"""The page for CRM users and the HTTP API: what the store says, shown and followed live."""
