"""What the three services share: settings, errors, checksums, path rules, HTTP clients and the HTTP edge.

Nothing here imports a service.
"""
