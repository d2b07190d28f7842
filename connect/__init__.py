"""The edges to other systems: the payment gateway's client, its caller and its sandbox."""
