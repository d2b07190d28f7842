"""The whole system as `make up` starts it, used as its users do."""
