"""The API as OpenAPI 3.1 describes it, made of the types that answers are made of."""
