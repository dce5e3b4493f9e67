"""What a service answers, as an OpenAPI 3.1 document: described once, beside the routes, and kept true by the tests."""
