//! From JSON values to the configuration's types, with errors that say where, what was found
//! and what is wanted.
//!
//! Serde's own errors are sentences; this deserializer keeps their parts.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde_json::Value;

use super::error::ConfigError;

/// Reads a value as `T`.
pub(super) fn decode<'de, T: de::Deserialize<'de>>(value: &'de Value) -> Result<T, ConfigError> {
    T::deserialize(At(value)).map_err(Fault::into_error)
}

/// What is wrong, and where: steps from the inside out, which is the order they are met in.
#[derive(Debug)]
struct Fault {
    steps: Vec<Step>,
    what: What,
}

#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

#[derive(Debug)]
enum What {
    Value {
        got: String,
        want: String,
    },
    Missing {
        key: String,
    },
    Unknown {
        key: String,
        want: Vec<&'static str>,
    },
    Other {
        reason: String,
    },
}

impl Fault {
    fn new(what: What) -> Self {
        let steps = Vec::new();
        Self { steps, what }
    }

    fn under(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    fn into_error(self) -> ConfigError {
        let path = path(self.steps.iter().rev());
        match self.what {
            What::Value { got, want } => ConfigError::InvalidValue { path, got, want },
            What::Missing { key } => ConfigError::MissingKey { path, key },
            What::Unknown { key, want } => ConfigError::UnknownKey { path, key, want },
            What::Other { reason } => ConfigError::invalid(path, "a value of another form", reason),
        }
    }
}

fn path<'a>(steps: impl Iterator<Item = &'a Step>) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Key(key) if path.is_empty() => path.push_str(key),
            Step::Key(key) => {
                path.push('.');
                path.push_str(key);
            }
            Step::Index(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        let reason = reason.to_string();
        Self::new(What::Other { reason })
    }

    fn invalid_type(got: Unexpected<'_>, want: &dyn Expected) -> Self {
        let (got, want) = (got.to_string(), want.to_string());
        Self::new(What::Value { got, want })
    }

    fn invalid_value(got: Unexpected<'_>, want: &dyn Expected) -> Self {
        Self::invalid_type(got, want)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let (got, want) = (
            format!("{variant:?}"),
            format!("one of {}", expected.join(", ")),
        );
        Self::new(What::Value { got, want })
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let (key, want) = (field.to_owned(), expected.to_vec());
        Self::new(What::Unknown { key, want })
    }

    fn missing_field(field: &'static str) -> Self {
        let key = field.to_owned();
        Self::new(What::Missing { key })
    }
}

struct At<'de>(&'de Value);

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => {
                if let Some(value) = number.as_u64() {
                    visitor.visit_u64(value)
                } else if let Some(value) = number.as_i64() {
                    visitor.visit_i64(value)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(values) => visitor.visit_seq(Items(values.iter().enumerate())),
            Value::Object(entries) => visitor.visit_map(Entries {
                entries: entries.iter(),
                current: None,
            }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(Name(text)),
            other => Err(Fault::new(What::Value {
                got: other.to_string(),
                want: format!("one of {}", variants.join(", ")),
            })),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'de>(std::iter::Enumerate<std::slice::Iter<'de, Value>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some((index, value)) = self.0.next() else {
            return Ok(None);
        };
        let element = seed.deserialize(At(value));
        element
            .map(Some)
            .map_err(|fault| fault.under(Step::Index(index)))
    }
}

struct Entries<'de> {
    entries: serde_json::map::Iter<'de>,
    current: Option<(&'de String, &'de Value)>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.current = self.entries.next();
        let Some((key, _)) = self.current else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, Fault> = key.as_str().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.current.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let value = seed.deserialize(At(value));
        value.map_err(|fault| fault.under(Step::Key(key.clone())))
    }
}

/// The name of a variant without contents, the only kind there is.
struct Name<'de>(&'de str);

impl<'de> EnumAccess<'de> for Name<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Name<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(unexpected())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(unexpected())
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(unexpected())
    }
}

fn unexpected() -> Fault {
    de::Error::custom("a variant without contents")
}
