//! The way of a request, from its connection to the end of its answer.
