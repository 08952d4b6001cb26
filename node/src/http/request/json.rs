//! Bodies are JSON objects; what is wrong with one that could not be parsed, and where, a slower parser says.

use std::fmt;
use std::marker::PhantomData;

use etebar_api::{FieldError, SHOWN_CHARS, shown};
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use crate::http::response::problem::Problem;

/// A `T` that is written as a JSON object. serde's derived structs would take an array of their values as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

/// Parses a body again, to find what is wrong with it and where.
pub(crate) fn explain<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Problem {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let mut error = match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Ok(_) => {
            let detail = reader.end().map_or_else(|error| error.to_string(), |()| "not a valid body".into());
            return Problem::invalid("", shown(&detail, SHOWN_CHARS));
        }
        Err(error) => FieldError { pointer: pointer(error.path()), detail: error.inner().to_string() },
    };
    let named =
        named_field(&error.detail, "missing field `").or_else(|| named_field(&error.detail, "duplicate field `"));
    if let Some(field) = named {
        error.pointer = format!("{}/{}", error.pointer, escaped(field));
    }
    // Both may repeat a part of the body, a name or a text of any length.
    error.pointer = shown(&error.pointer, SHOWN_CHARS).into_owned();
    error.detail = shown(&error.detail, SHOWN_CHARS).into_owned();
    Problem::invalid_all(vec![error])
}

/// A JSON pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        let token = match segment {
            Segment::Seq { index } => index.to_string(),
            Segment::Map { key } => escaped(key),
            Segment::Enum { variant } => escaped(variant),
            Segment::Unknown => break,
        };
        pointer.push('/');
        pointer.push_str(&token);
    }
    pointer
}

fn escaped(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

/// The field that serde's message names behind `opening`.
fn named_field<'a>(message: &'a str, opening: &str) -> Option<&'a str> {
    message.strip_prefix(opening)?.split('`').next()
}
