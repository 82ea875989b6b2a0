"""The administrator's words: `invite-gateway`. Commands are thin; what they do stands in
`gateway.actions` and below.
"""
