//! What two identical requests have in common.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher as _, Hasher as _},
    sync::LazyLock,
};

use siphasher::sip128::{Hasher128 as _, SipHasher13};

use super::Understood;

/// Drawn anew at each start. One client's answer may be given to another who asks the same;
/// nobody may be able to write a body that is taken for another's.
static KEY: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let drawn = RandomState::new();
    (drawn.hash_one(1_u8), drawn.hash_one(2_u8))
});

/// Equal for requests that ask for the same, byte for byte, of the same endpoint. The same
/// JSON in another order or with other whitespace is another question. Means something only
/// within this run of the program.
pub fn question(understood: &Understood, body: &[u8]) -> u128 {
    let mut hasher = hasher();
    hasher.write_u8(understood.endpoint as u8);
    hasher.write(body);
    hasher.finish128().as_u128()
}

/// For what goes into a key beside the question, under the same secret.
pub fn hasher() -> SipHasher13 {
    let (one, two) = *KEY;
    SipHasher13::new_with_keys(one, two)
}
