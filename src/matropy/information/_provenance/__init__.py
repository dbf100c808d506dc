"""Did this model write this text: a record of every token, and the tests that read it."""
