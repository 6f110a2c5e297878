//! A stream of events as it passes: counted, timed, and where Plimsoll asked for
//! `usage` itself, freed of the one chunk that the client does not expect.
