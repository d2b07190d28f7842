"""API processes that hold some partitions of the tables each, and together answer for all.

members  who takes part: a Kafka consumer group says it
rule     who holds what: a pure function of the members
holding  what this process holds: what the rule says, and what nobody else has yet
routing  whom to ask for a partition
asks     what one process asks another
here     answers from what this process holds; it never asks further
peers    the other processes: asked once, signed; their changes
internal the routes that they ask on
sharded  the tables, wherever their rows are
"""
