//! The tables that say whom the service knows (CCF interface, section 5).

use ccf_rs::{Codec, Error, Json, ReadHost, Text, Value};
use serde::{Deserialize, Serialize};

pub(super) const MEMBER_CERTS: &str = "public:ccf.gov.members.certs";
pub(super) const MEMBER_INFO: &str = "public:ccf.gov.members.info";
pub(super) const USER_CERTS: &str = "public:ccf.gov.users.certs";
pub(super) const JWT_KEYS: &str = "public:ccf.gov.jwt.public_signing_keys_metadata_v2";
pub(super) const JWT_KEYS_V1: &str = "public:ccf.gov.jwt.public_signing_keys_metadata";
pub(super) const JWT_KEY_V0: &str = "public:ccf.gov.jwt.public_signing_key";
pub(super) const JWT_KEY_ISSUER_V0: &str = "public:ccf.gov.jwt.public_signing_key_issuer";

/// What authentication reads of `members.info`.
#[derive(Serialize, Deserialize)]
pub(super) struct MemberStatus {
    pub(super) status: String,
}

/// A text value of a table.
pub(super) fn text(
    host: &mut dyn ReadHost,
    table: &'static str,
    key: &[u8],
) -> Result<Option<String>, Error> {
    read::<String, Text>(host, table, key)
}

/// A JSON value of a table.
pub(super) fn json<V>(
    host: &mut dyn ReadHost,
    table: &'static str,
    key: &[u8],
) -> Result<Option<V>, Error>
where
    Json: Codec<V>,
{
    read::<V, Json>(host, table, key)
}

fn read<V, C>(host: &mut dyn ReadHost, table: &'static str, key: &[u8]) -> Result<Option<V>, Error>
where
    V: Value<C>,
{
    host.get(table, key)?
        .map(|bytes| V::decode(&bytes))
        .transpose()
        .map_err(|reason| Error::Stored {
            table: table.to_owned(),
            reason,
        })
}
