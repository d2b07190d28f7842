"""The API measured: reads beside a handler that returns a constant, commands end to end."""
