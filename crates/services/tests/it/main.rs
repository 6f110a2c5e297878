//! Tests of the services through their public surface.

mod hostile;
