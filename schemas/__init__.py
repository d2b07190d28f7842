"""The Avro schemas of every topic and table, and the codec between them and Python records."""
