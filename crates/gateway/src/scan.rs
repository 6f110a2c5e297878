//! Reading JSON in one pass without building it: what the readers of requests and of answers
//! have in common.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// For visitors of texts and structures: numbers, truth values and `null` say nothing.
macro_rules! ignore_scalars {
    () => {
        ignore_scalars!(());
    };
    ($nothing:expr) => {
        fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

pub(crate) use ignore_scalars;

/// The name of a member, told by its bytes.
pub struct Name<F> {
    tell: F,
    /// Half a surrogate in it is some other name, and no error.
    lenient: bool,
}

// === impl Name ===

impl<F> Name<F> {
    pub fn strict<T>(tell: F) -> Self
    where
        F: FnOnce(&[u8]) -> T,
    {
        Self { tell, lenient: false }
    }

    pub fn lenient<T>(tell: F) -> Self
    where
        F: FnOnce(&[u8]) -> T,
    {
        Self { tell, lenient: true }
    }
}

impl<'de, T, F: FnOnce(&[u8]) -> T> DeserializeSeed<'de> for Name<F> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<T, D::Error> {
        if self.lenient { from.deserialize_bytes(self) } else { from.deserialize_str(self) }
    }
}

impl<T, F: FnOnce(&[u8]) -> T> Visitor<'_> for Name<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<T, E> {
        Ok((self.tell)(name))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<T, E> {
        self.visit_bytes(name.as_bytes())
    }
}

/// Each member of a small object, in its order.
pub fn each_member<'de>(
    raw: &'de RawValue,
    each: impl FnMut(&str, &'de RawValue),
) -> serde_json::Result<()> {
    struct Each<F>(F);

    impl<'de, F: FnMut(&str, &'de RawValue)> Visitor<'de> for Each<F> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
            while let Some(name) = map.next_key::<Cow<'de, str>>()? {
                (self.0)(&name, map.next_value()?);
            }
            Ok(())
        }
    }

    serde_json::Deserializer::from_str(raw.get()).deserialize_map(Each(each))
}
