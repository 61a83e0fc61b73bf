"""Who asks, and what he may: roles of routes, sessions, the guard against forged requests.

Knows neither pages nor the API: these name a role for every route and ask ``who``.
"""
