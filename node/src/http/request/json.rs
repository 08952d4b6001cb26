//! JSON bodies: parsed once where they are right; where they are wrong, parsed again to say where.

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
pub struct Object<T>(pub T);

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

/// Reads a body of the type `T`, which may borrow from it.
pub fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map(|Object(body)| body).map_err(|_| explain::<T>(bytes))
}

/// Reads a body that may be absent, which then means the default.
pub fn parse_or_default<'a, T: Deserialize<'a> + Default>(bytes: &'a [u8]) -> Result<T, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) { Ok(T::default()) } else { parse(bytes) }
}

/// Reads a body again, to say what is wrong with it and where.
fn explain<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Problem {
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
    // Both may repeat what stands in the body, a name or a text as long as all of it.
    error.pointer = shown(&error.pointer, SHOWN_CHARS).into_owned();
    error.detail = shown(&error.detail, SHOWN_CHARS).into_owned();
    Problem::invalid_all(vec![error])
}

/// RFC 6901.
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

#[cfg(test)]
mod tests {
    use etebar_api::{BatchRequest, NewCharge, NewSeller};
    use serde_json::json;

    use super::*;

    fn pointer_of<'a, T: Deserialize<'a> + std::fmt::Debug>(body: &'a str) -> serde_json::Value {
        let problem = parse::<T>(body.as_bytes()).expect_err("the body is wrong");
        json!(problem.body().errors[0].pointer)
    }

    #[test]
    fn a_wrong_value_is_pointed_at() {
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":"09123456789","amount":1.5}"#), json!("/amount"));
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":7,"amount":"1"}"#), json!("/phone"));
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":"09123456789"}"#), json!("/amount"));
        assert_eq!(pointer_of::<NewCharge>(r#"{"phone":"1","amount":"1","x":1}"#), json!("/x"));
        let batch = r#"{"charges":[{"phone":"1","amount":"1","idempotency_key":"a"},{"phone":null,"amount":"1","idempotency_key":"a"}]}"#;
        assert_eq!(pointer_of::<BatchRequest>(batch), json!("/charges/1/phone"));
        assert_eq!(
            pointer_of::<BatchRequest>(r#"{"charges":[{"phone":"1","amount":"1"}]}"#),
            json!("/charges/0/idempotency_key")
        );
    }

    #[test]
    fn what_an_error_repeats_of_a_body_is_bounded() {
        let long = "x\u{202e}".repeat(100_000);
        for body in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"name":{{"{long}":1}}}}"#), format!("[\"{long}\"]")] {
            let problem = parse::<NewSeller>(body.as_bytes()).expect_err("the body is wrong");
            let told = json!(problem.body()).to_string();
            assert!(told.len() < 5_000 && !told.contains('\u{202e}'), "{} bytes", told.len());
        }
    }

    #[test]
    fn what_is_no_json_points_at_the_whole() {
        for body in
            ["", "{", "[]", "null", "NaN", "{\"name\":\"a\"} x", "{\"name\":\"a\"}{\"name\":\"a\"}", "\u{feff}{}"]
        {
            assert_eq!(pointer_of::<NewSeller>(body), json!(""), "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(pointer_of::<NewSeller>(&deep), json!(""));
    }
}
