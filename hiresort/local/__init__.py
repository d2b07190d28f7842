"""The whole system on one machine: Kafka, the topics, the catalogue and every process."""
