"""Two vendors for pushgw, found by entry point: ``webhook`` (any HTTPS address) and ``webpush`` (browsers)."""
