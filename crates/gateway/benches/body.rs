//! What it costs to understand a body, to write it anew, and to watch a stream, beside
//! reading the same bytes with `serde_json::Value`.

fn main() {}
