# Here to have stream.py compiled, as it is.
