cpdef Py_ssize_t check_size(str topic, key, value, headers=*) except -1
