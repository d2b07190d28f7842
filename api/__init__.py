"""The HTTP edge: commands go to Kafka, answers come from replicas of the tables."""
