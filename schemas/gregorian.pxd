"""Dates as Avro counts them: days since 1970, in the Gregorian calendar of the years 1 to 9999."""

cdef enum:
    EPOCH = 719_162  # days from the first of year 1 to 1970
    DAYS = 3_652_059  # days that there are


cdef inline int before_year(int year) noexcept:
    """Days from the first of year 1 to the first of this one."""
    year -= 1
    return 365 * year + year // 4 - year // 100 + year // 400


cdef inline int before_month(int year, int month) noexcept:
    """Days from the first of the year to the first of this month; the thirteenth is the next's."""
    cdef bint leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    # as if February had 30 days, then what it lacks
    return (367 * month - 362) // 12 - ((2 - leap) if month > 2 else 0)


cdef inline int days_of(int year, int month, int day) noexcept:
    return before_year(year) + before_month(year, month) + day - 1 - EPOCH


cdef inline void date_of(int days, int *year, int *month, int *day) noexcept:
    """The date of a day from -EPOCH to DAYS - EPOCH - 1."""
    days += EPOCH
    year[0] = <int>(days * <long long>400 // 146_097) + 1  # or the one before or after
    year[0] += (before_year(year[0] + 1) <= days) - (before_year(year[0]) > days)
    days -= before_year(year[0])
    month[0] = days // 32 + 1  # or the one after
    month[0] += before_month(year[0], month[0] + 1) <= days
    day[0] = days - before_month(year[0], month[0]) + 1
