//! How keys and values of tables become bytes (ledger format, section 6).

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::types::{MemberId, UserId};

/// A key of a table.
pub trait Key: Sized {
    /// The bytes stored.
    fn to_bytes(&self) -> Cow<'_, [u8]>;
    /// From the bytes stored; `None` when they are not such a key.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
}

/// A way to store values of type `V`.
pub trait Codec<V> {
    /// The bytes stored, or why not.
    fn encode(value: &V) -> Result<Vec<u8>, String>;
    /// From the bytes stored, or why not. The reason never contains the value.
    fn decode(bytes: &[u8]) -> Result<V, String>;
}

/// Marker of a value that a codec `C` can store.
pub trait Value<C>: Sized {
    /// The bytes stored, or why not.
    fn encode(&self) -> Result<Vec<u8>, String>;
    /// From the bytes stored, or why not.
    fn decode(bytes: &[u8]) -> Result<Self, String>;
}

impl<V, C: Codec<V>> Value<C> for V {
    fn encode(&self) -> Result<Vec<u8>, String> {
        C::encode(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        C::decode(bytes)
    }
}

/// Values as compact JSON in UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Json;

/// Values as plain UTF-8 text.
#[derive(Clone, Copy, Debug)]
pub struct Text;

/// Values as they are.
#[derive(Clone, Copy, Debug)]
pub struct Raw;

/// The only key of a single-value table: eight zero bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Singleton;

impl<V: Serialize + DeserializeOwned> Codec<V> for Json {
    fn encode(value: &V) -> Result<Vec<u8>, String> {
        serde_json::to_vec(value).map_err(|e| e.to_string())
    }

    fn decode(bytes: &[u8]) -> Result<V, String> {
        // serde_json's own text can quote the value; category and place cannot.
        serde_json::from_slice(bytes)
            .map_err(|e| format!("{:?} error at column {}", e.classify(), e.column()))
    }
}

impl Codec<String> for Text {
    fn encode(value: &String) -> Result<Vec<u8>, String> {
        Ok(value.as_bytes().to_vec())
    }

    fn decode(bytes: &[u8]) -> Result<String, String> {
        String::from_utf8(bytes.to_vec())
            .map_err(|e| format!("not UTF-8 after {} bytes", e.utf8_error().valid_up_to()))
    }
}

impl Codec<Vec<u8>> for Raw {
    fn encode(value: &Vec<u8>) -> Result<Vec<u8>, String> {
        Ok(value.clone())
    }

    fn decode(bytes: &[u8]) -> Result<Vec<u8>, String> {
        Ok(bytes.to_vec())
    }
}

impl Key for String {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.as_bytes())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_utf8(bytes.to_vec()).ok()
    }
}

impl Key for Vec<u8> {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(bytes.to_vec())
    }
}

impl Key for Singleton {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[0; 8])
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes == [0; 8]).then_some(Self)
    }
}

impl Key for u64 {
    fn to_bytes(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.to_le_bytes().to_vec())
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_le_bytes)
    }
}

macro_rules! text_key {
    ($($name:ty),*) => {$(
        impl Key for $name {
            fn to_bytes(&self) -> Cow<'_, [u8]> {
                self.0.to_bytes()
            }

            fn from_bytes(bytes: &[u8]) -> Option<Self> {
                String::from_bytes(bytes).map(Self)
            }
        }
    )*};
}

text_key!(MemberId, UserId);

/// Carries key, value and codec types without owning any.
pub(crate) type Types<K, V, C> = PhantomData<fn() -> (K, V, C)>;
