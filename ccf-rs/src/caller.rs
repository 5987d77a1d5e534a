//! Who calls, and what an endpoint asks of a caller (CCF interface, section 3).

use bytes::Bytes;
use serde_json::{Map, Value as JsonValue};

use crate::types::{MemberId, UserId};

/// An authentication policy. The policies of an endpoint are tried in the declared order and
/// the first that succeeds names the caller; with none declared no credential is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Always succeeds: an anonymous caller is welcome. Declare it last.
    Anonymous,
    /// TLS client certificate of a consortium member, whatever the member's status.
    MemberCert,
    /// TLS client certificate of a user, within its validity.
    UserCert,
    /// Any TLS client certificate within its validity.
    AnyCert,
    /// Bearer token signed by a trusted issuer.
    Jwt,
    /// COSE_Sign1 request body signed by a member.
    MemberCose {
        /// The member must be Active, not only known.
        active: bool,
        /// Required `ccf.gov.msg.type`.
        message_type: Option<&'static str>,
    },
    /// COSE_Sign1 request body signed by a user.
    UserCose {
        /// Required `ccf.msg.type`.
        message_type: Option<&'static str>,
    },
}

/// Who was authenticated.
#[derive(Clone, Debug)]
pub enum Caller {
    /// The endpoint asks for no credential, so none was looked at.
    Unasked,
    /// [`Auth::Anonymous`] succeeded.
    Anonymous,
    /// [`Auth::MemberCert`].
    Member(MemberId),
    /// [`Auth::UserCert`].
    User(UserId),
    /// [`Auth::AnyCert`]: the certificate, DER.
    Certificate(Bytes),
    /// [`Auth::Jwt`].
    Jwt(Box<JwtClaims>),
    /// [`Auth::MemberCose`].
    MemberCose(MemberId, Box<CoseMessage>),
    /// [`Auth::UserCose`].
    UserCose(UserId, Box<CoseMessage>),
}

/// A verified bearer token.
#[derive(Clone, Debug)]
pub struct JwtClaims {
    /// The issuer under which the verifying key is registered, which governance decides.
    pub key_issuer: String,
    /// The token's header.
    pub header: Map<String, JsonValue>,
    /// The token's claims.
    pub payload: Map<String, JsonValue>,
}

/// A verified COSE_Sign1 message and the headers that governance reads
/// (CCF interface, section 2.1).
#[derive(Clone, Debug)]
pub struct CoseMessage {
    /// The signed payload.
    pub payload: Bytes,
    /// The whole message as received.
    pub envelope: Bytes,
    /// The signature bytes.
    pub signature: Bytes,
    /// `ccf.gov.msg.type` (members) or `ccf.msg.type` (users).
    pub message_type: Option<String>,
    /// `ccf.gov.msg.proposal_id`.
    pub proposal_id: Option<String>,
    /// `ccf.gov.msg.created_at` or `ccf.msg.created_at`, seconds since the epoch.
    pub created_at: Option<u64>,
}

impl Auth {
    /// CCF's name of the policy, used in error details and OpenAPI documents.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Anonymous => "no_auth",
            Self::MemberCert => "member_cert",
            Self::UserCert => "user_cert",
            Self::AnyCert => "any_cert",
            Self::Jwt => "jwt",
            Self::MemberCose { active: true, .. } => "active_member_cose_sign1",
            Self::MemberCose { active: false, .. } => "member_cose_sign1",
            Self::UserCose {
                message_type: Some(_),
            } => "typed_user_cose_sign1",
            Self::UserCose { message_type: None } => "user_cose_sign1",
        }
    }
}
