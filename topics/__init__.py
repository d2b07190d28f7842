"""Every topic once: what it holds, who writes and reads it, and how it is created and checked."""
