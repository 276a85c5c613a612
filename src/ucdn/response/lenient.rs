//! Lenient JSON values: a value of an unexpected type is read as `None` or a default, not as an error.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::model::{Status, Timestamp};

/// A struct that deserializes from any JSON. An object gives its fields: keys match in any case, the last of equal keys counts,
/// unknown keys are skipped. Any other value gives the defaults. Strings borrow from the JSON where possible.
macro_rules! lenient_struct {
    ($visibility:vis struct $name:ident { $($field:ident: $type:ty = $key:literal),* $(,)? }) => {
        #[derive(Debug, Default)]
        $visibility struct $name<'de> {
            $($field: $type,)*
        }

        impl<'de> Deserialize<'de> for $name<'de> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Fields;

                impl<'de> Visitor<'de> for Fields {
                    type Value = $name<'de>;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(stringify!($name))
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<$name<'de>, A::Error> {
                        let mut read = $name::default();
                        while let Some(key) = map.next_key::<Key<'de>>()? {
                            $(if key.is($key) {
                                read.$field = map.next_value()?;
                                continue;
                            })*
                            map.next_value::<IgnoredAny>()?;
                        }
                        Ok(read)
                    }

                    nothing_else!($name<'de>);
                }

                deserializer.deserialize_any(Fields)
            }
        }
    };
}

/// Visitor methods that read any JSON value except an object and return the default.
macro_rules! nothing_else {
    ($value:ty) => {
        no_scalar!($value);

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<$value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(<$value>::default())
        }
    };
}

/// Visitor methods that read any JSON value except an object and an array, and return the default.
macro_rules! no_scalar {
    ($value:ty) => {
        fn visit_unit<E>(self) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_bool<E>(self, _: bool) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<$value, E> {
            Ok(<$value>::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<$value, E> {
            Ok(<$value>::default())
        }
    };
}

pub(super) use {lenient_struct, no_scalar, nothing_else};

/// Below this, an `f64` holds whole numbers exactly.
const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;

/// A key of an object.
pub(super) struct Key<'a>(Cow<'a, str>);

impl Key<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.0 == name || self.0.eq_ignore_ascii_case(name)
    }
}

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor).map(Self)
    }
}

struct KeyVisitor;

impl<'de> Visitor<'de> for KeyVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// A whole number, or a string with one. `None` if it is anything else.
#[derive(Debug, Default)]
pub(super) struct Number(pub(super) Option<i64>);

impl Number {
    /// As unix seconds. `None` for 0, which the API sends for an event that has not happened.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.0
            .filter(|seconds| *seconds > 0)
            .and_then(Timestamp::from_unix_seconds)
    }
}

/// A string, or a number as a string. `None` if it is anything else.
#[derive(Debug, Default)]
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

impl Text<'_> {
    /// Empty if it is `None`.
    pub(super) fn into_string(self) -> String {
        self.0.map_or_else(String::new, Cow::into_owned)
    }

    /// Borrows the word if it is one of `usual`. `None` if it is empty.
    pub(super) fn word(&self, usual: &[&'static str]) -> Option<Cow<'static, str>> {
        let word = self.0.as_deref().filter(|text| !text.is_empty())?;
        Some(match usual.iter().find(|usual| **usual == word) {
            Some(usual) => Cow::Borrowed(usual),
            None => Cow::Owned(word.to_owned()),
        })
    }

    pub(super) fn status(&self) -> Option<Status> {
        let word = self.0.as_deref().filter(|text| !text.is_empty())?;
        Some(Status::from_word(word))
    }
}

/// A scalar of any type, before it is a [`Number`] or a [`Text`].
enum Scalar<'a> {
    None,
    Integer(i64),
    Fraction(f64),
    Text(Cow<'a, str>),
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'de>, E> {
        Ok(Scalar::None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'de>, E> {
        Ok(Scalar::None)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'de>, E> {
        // No field has such a large number, but an id may look like one.
        let text = |_| Scalar::Text(Cow::Owned(number.to_string()));
        Ok(i64::try_from(number).map_or_else(text, Scalar::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Fraction(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Scalar<'de>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar<'de>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::None)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Integer(number) => Some(number),
            Scalar::Fraction(number) => whole(number),
            Scalar::Text(text) => {
                let text = text.trim();
                text.parse()
                    .ok()
                    .or_else(|| text.parse().ok().and_then(whole))
            }
            Scalar::None => None,
        }))
    }
}

/// Cuts a fraction off. `None` if the number is far outside of any field's range.
fn whole(number: f64) -> Option<i64> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked, the fraction is to go"
    )]
    (number.abs() < 1e15).then_some(number as i64)
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match deserializer.deserialize_any(ScalarVisitor)? {
            Scalar::Text(text) => Some(text),
            Scalar::Integer(number) => Some(number.to_string().into()),
            // Longer numbers lose their last digits, so that two ids could become equal.
            Scalar::Fraction(number) if number.abs() < EXACT_BELOW => {
                Some(number.to_string().into())
            }
            Scalar::Fraction(_) | Scalar::None => None,
        }))
    }
}

/// Longest list. Bounds memory, because an item of 2 bytes takes many times its size in memory. A list with more items that are
/// not empty exceeds the response's size limit.
pub(super) const MAX_ITEMS: usize = 500_000;

/// A list, which may be missing, null, or an object instead of an array.
#[derive(Debug, Default)]
pub(super) enum List<T> {
    #[default]
    Missing,
    Items(Vec<T>),
    SomethingElse,
}

fn push<T, E: Error>(items: &mut Vec<T>, item: T) -> Result<(), E> {
    if items.len() == MAX_ITEMS {
        return Err(E::custom("too long a list"));
    }
    items.push(item);
    Ok(())
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<List<T>, E> {
        Ok(List::Missing)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            push(&mut items, item)?;
        }
        Ok(List::Items(items))
    }

    /// `{}`, and the numbered object that some servers make of a list.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
        let mut items = Vec::new();
        while let Some((_, item)) = map.next_entry::<IgnoredAny, T>()? {
            push(&mut items, item)?;
        }
        Ok(List::Items(items))
    }

    fn visit_bool<E>(self, _: bool) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_i64<E>(self, _: i64) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_u64<E>(self, _: u64) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_f64<E>(self, _: f64) -> Result<List<T>, E> {
        Ok(List::SomethingElse)
    }

    fn visit_str<E>(self, text: &str) -> Result<List<T>, E> {
        Ok(if text.is_empty() {
            List::Missing
        } else {
            List::SomethingElse
        })
    }
}
