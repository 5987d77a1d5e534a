//! Issuer URLs: one for all, by governance, and one for each tenant, by its members or its users (endpoints E55 and E56).
//!
//! A tenant's URL is in one table when a member set it and in another when a user did; the member's goes before the user's. Who set it
//! is noted. A user may change what the same user set; a member of the tenant may remove either (W14).

use ccf_rs::{Context, Endpoints, Error, ReadContext, Reply, Result, Table, Text, WriteContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::App;
use crate::callers::{Kind, NOT_REGISTERED, PEOPLE, Person, acting, registered, tenant};
use crate::ids::composite;
use crate::service_keys::ISSUER;

pub(super) fn endpoints(endpoints: Endpoints<App>) -> Endpoints<App> {
    endpoints
        .post("/oidc/setIssuerUrl", set)
        .auth(PEOPLE)
        .summary("Set the issuer URL of the caller's tenant")
        .body::<SetUrl>()
        .answers(200, "The URL is set.")
        .refuses(NOT_REGISTERED)
        .refuses([
            (400, "InvalidUrl"),
            (400, "NoTenantId"),
            (403, "IssuerUrlSetByAnother"),
        ])
        .post("/oidc/removeIssuerUrl", remove)
        .auth(PEOPLE)
        .summary("Remove the issuer URL of the caller's tenant")
        .answers(200, "There is none any more that the caller may remove.")
        .refuses(NOT_REGISTERED)
        .refuses([(400, "NoTenantId"), (403, "IssuerUrlSetByAnother")])
        .post("/oidc/issuerInfo", info)
        .auth(PEOPLE)
        .summary("Whether the issuer is enabled, and its URLs")
        .reply::<Info>()
        .refuses(NOT_REGISTERED)
}

/// The URL that governance set for all.
pub(super) fn global<C: Context>(ctx: &mut C) -> Result<Option<String>> {
    ISSUER.setting(ctx, "issuerUrl")
}

/// The issuer of a token for a tenant. `asked` is what the caller wants, if anything; it has to be one that is configured, or one of those that
/// members `allowed`.
///
/// # Errors
/// 405 `IssuerUrlNotSet`, 400 `TokenIssuerNotAllowed`.
pub(super) fn issuer<C: Context>(
    ctx: &mut C,
    tenant: &str,
    asked: Option<&str>,
    allowed: Option<&[String]>,
) -> Result<String> {
    let tenant = tenant.to_owned();
    let configured = [
        ctx.read(&BY_MEMBERS).get(&tenant)?,
        ctx.read(&BY_USERS).get(&tenant)?,
        global(ctx)?,
    ];
    let not_set = || Error::refused(405, "IssuerUrlNotSet", "No issuer URL is configured.");
    match asked {
        None => configured.into_iter().flatten().next().ok_or_else(not_set),
        Some("") => Err(not_set()),
        Some(asked) => {
            let allowed = allowed.unwrap_or_default();
            let mut known = configured.iter().flatten().chain(allowed);
            if known.any(|url| url == asked) {
                return Ok(asked.to_owned());
            }
            Err(Error::bad_request(
                "TokenIssuerNotAllowed",
                "The issuer is configured neither for the tenant nor for all.",
            )
            .with_detail(json!({ "claim": "iss", "got": asked })))
        }
    }
}

static BY_MEMBERS: Table<String, String, Text> =
    Table::text("public:oidc_issuer.tenantid_issuer_url");
static BY_USERS: Table<String, String, Text> =
    Table::text("public:oidc_issuer.user_tenantid_issuer_url");
/// By table's kind and tenant.
static SETTERS: Table<String, Setter> = Table::json("public:cleanroom.issuer_url_setters");

#[derive(Serialize, Deserialize)]
struct Setter {
    kind: Kind,
    id: String,
    /// The host's clock, ms since 1970.
    time: u64,
}

#[derive(Deserialize, JsonSchema)]
struct SetUrl {
    /// An https URL.
    #[serde(default)]
    #[schemars(with = "String")]
    url: Value,
}

fn set(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let person = acting(ctx)?;
    let body: SetUrl = ctx.json()?;
    let Some(url) = body.url.as_str().filter(|url| is_url(url)) else {
        return Err(Error::bad_request("InvalidUrl", "Want an https URL."));
    };
    let tenant = required_tenant(ctx, &person)?;
    check_setter(ctx, &person, &tenant)?;
    ctx.table(of(person.kind)).put(&tenant, &url.to_owned())?;
    let setter = Setter {
        kind: person.kind,
        time: u64::try_from(ctx.untrusted_time().as_millis()).unwrap_or(u64::MAX),
        id: person.id,
    };
    ctx.table(&SETTERS)
        .put(&setter_key(setter.kind, &tenant), &setter)?;
    Ok(Reply::ok())
}

fn remove(_: &App, ctx: &mut WriteContext<'_>) -> Result<Reply> {
    let person = acting(ctx)?;
    let tenant = required_tenant(ctx, &person)?;
    check_setter(ctx, &person, &tenant)?;
    let mut kinds = vec![Kind::User];
    if person.kind == Kind::Member {
        kinds.push(Kind::Member);
    }
    for kind in kinds {
        ctx.table(of(kind)).remove(&tenant)?;
        ctx.table(&SETTERS).remove(&setter_key(kind, &tenant))?;
    }
    Ok(Reply::ok())
}

fn required_tenant<C: Context>(ctx: &mut C, person: &Person) -> Result<String> {
    tenant(ctx, person)?
        .ok_or_else(|| Error::bad_request("NoTenantId", "The caller belongs to no tenant."))
}

/// A user may not take away what another user set.
fn check_setter<C: Context>(ctx: &mut C, person: &Person, tenant: &str) -> Result<()> {
    if person.kind == Kind::Member {
        return Ok(());
    }
    let setter = ctx.read(&SETTERS).get(&setter_key(person.kind, tenant))?;
    if setter.is_some_and(|first| first.kind != person.kind || first.id != person.id) {
        return Err(Error::refused(
            403,
            "IssuerUrlSetByAnother",
            "Another user of the tenant set the URL; a member of the tenant can remove it.",
        ));
    }
    Ok(())
}

fn of(kind: Kind) -> &'static Table<String, String, Text> {
    match kind {
        Kind::Member => &BY_MEMBERS,
        Kind::User | Kind::TokenUser => &BY_USERS,
    }
}

fn setter_key(kind: Kind, tenant: &str) -> String {
    let kind = match kind {
        Kind::Member => "member",
        Kind::User | Kind::TokenUser => "user",
    };
    composite(&[kind, tenant])
}

/// Https, with a host, without user information, in visible ASCII.
fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let is_host = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'-';
    text.len() <= LONGEST
        && text.bytes().all(|b| b.is_ascii_graphic())
        && !host.is_empty()
        && host.bytes().all(is_host)
        && port.parse::<u16>().is_ok()
}

const LONGEST: usize = 1024;

/// The issuer.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "IssuerInfo")]
struct Info {
    enabled: bool,
    /// For all, by governance.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_url: Option<String>,
    /// The caller's tenant, if its URL is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_data: Option<TenantIssuer>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TenantIssuer {
    tenant_id: String,
    issuer_url: String,
}

fn info(_: &App, ctx: &mut ReadContext<'_>) -> Result<Reply> {
    let person = registered(ctx)?;
    let tenant_data = match tenant(ctx, &person)? {
        Some(tenant_id) => {
            let url = ctx.read(of(person.kind)).get(&tenant_id)?;
            url.map(|issuer_url| TenantIssuer {
                tenant_id,
                issuer_url,
            })
        }
        None => None,
    };
    Reply::json(&Info {
        enabled: ISSUER.is_enabled(ctx)?,
        issuer_url: global(ctx)?,
        tenant_data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_urls_are_https_with_a_host() {
        for good in [
            "https://a",
            "https://mt.example.com/oidc",
            "https://mt.example.com:8443/oidc?x=1#f",
        ] {
            assert!(is_url(good), "{good}");
        }
        let long = format!("https://a/{}", "x".repeat(1024));
        for bad in [
            "",
            "a.example.com",
            "http://a.example.com",
            "HTTPS://a.example.com",
            "https:",
            "https://",
            "https:///x",
            "https://user@a.example.com",
            "https://a.example.com:x",
            "https://a.example.com:99999",
            "https://a.example.com/\n",
            "https://ä.example.com",
            &long,
        ] {
            assert!(!is_url(bad), "{bad}");
        }
    }
}
