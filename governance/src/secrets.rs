//! Secrets, from the side of members and users: putting and listing. Only a clean room can read one ([`crate::clean_room`]).

use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use crate::client::{Client, ClientError, Request, contract_path};
use crate::service::Listed;

/// A secret's text. It has no `Debug`, `Display` or `Serialize`, and is zeroed when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// Takes over a text.
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text as a request body `{"value": text}`, with the `documents` that it hangs on if there are any.
    pub(crate) fn to_body(&self, documents: &[String]) -> Result<Zeroizing<Vec<u8>>, ClientError> {
        let documents = match documents {
            [] => String::new(),
            named => format!(",\"documents\":{}", serde_json::json!(named)),
        };
        // Escaping makes a character at most six times longer: the buffer never grows, so no copy is left behind.
        let capacity = self.0.len() * 6 + 16 + documents.len();
        let mut body = Zeroizing::new(Vec::with_capacity(capacity));
        body.extend_from_slice(b"{\"value\":");
        serde_json::to_writer(&mut *body, self.expose()).map_err(|error| ClientError::Request {
            reason: error.to_string(),
        })?;
        body.extend_from_slice(documents.as_bytes());
        body.push(b'}');
        Ok(body)
    }

    pub(crate) fn from_utf8(mut bytes: Zeroizing<Vec<u8>>) -> Result<Self, ClientError> {
        match String::from_utf8(std::mem::take(&mut *bytes)) {
            Ok(text) => Ok(Self::new(text)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(ClientError::Answer {
                    reason: "the secret is not UTF-8".to_owned(),
                })
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretId {
    pub(crate) secret_id: String,
}

impl Client {
    /// Stores a secret under the caller's id and a name; returns the full id under which a clean room reads it.
    ///
    /// # Errors
    /// [`ClientError::Service`]; codes `ValueMissing`, `ValueTooLarge`.
    pub fn put_secret(
        &self,
        contract: &str,
        name: &str,
        secret: &SecretText,
    ) -> Result<String, ClientError> {
        self.put_secret_for(contract, name, secret, &[])
    }

    /// The same for a secret that is released only while all these documents of the contract are accepted and consented to.
    ///
    /// # Errors
    /// As [`Client::put_secret`].
    pub fn put_secret_for(
        &self,
        contract: &str,
        name: &str,
        secret: &SecretText,
        documents: &[String],
    ) -> Result<String, ClientError> {
        let path = contract_path(contract, &["secrets", name])?;
        let request = Request::put(path).body("application/json", secret.to_body(documents)?);
        Ok(self.write(request)?.json::<SecretId>()?.secret_id)
    }

    /// The full ids of a contract's secrets.
    ///
    /// # Errors
    /// [`ClientError::Service`] when the caller may not list them.
    pub fn secrets(&self, contract: &str) -> Result<Vec<String>, ClientError> {
        let path = contract_path(contract, &["secrets"])?;
        let list: Listed<SecretId> = self.send(Request::get(path))?.json()?;
        Ok(list
            .value
            .into_iter()
            .map(|secret| secret.secret_id)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_escaped_without_growing_its_buffer() {
        let secret = SecretText::new("\u{1}\"\\\n\u{e9}".repeat(50));
        let body = secret.to_body(&[]).unwrap();
        assert!(body.len() <= body.capacity());
        assert!(body.capacity() == secret.expose().len() * 6 + 16);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value, serde_json::json!({ "value": secret.expose() }));
        let documents = ["d1".to_owned(), "d\"2".to_owned()];
        let body = secret.to_body(&documents).unwrap();
        assert!(body.len() <= secret.expose().len() * 6 + 64);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let want = serde_json::json!({ "value": secret.expose(), "documents": documents });
        assert_eq!(value, want);
    }
}
