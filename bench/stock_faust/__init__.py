"""The reference work on Faust as it comes."""
