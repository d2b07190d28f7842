"""A resort's real reservations, or made-up ones, sent through the running system and checked."""
