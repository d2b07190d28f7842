cimport cython


@cython.locals(text=str)
cpdef encode_text(key)
