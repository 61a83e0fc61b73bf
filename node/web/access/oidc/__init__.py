"""Login at a provider of OpenID Connect: code flow (Core 1.0, 3.1) with PKCE (RFC 7636).

What comes from the browser or the provider is believed only once it is checked. No message holds
what somebody is called there, nor a token.
"""
