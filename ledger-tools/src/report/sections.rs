//! The tables of the page: members, contracts, releases, identities, and who holds the ledger's secrets.

use serde_json::Value;

use super::html::{Page, code, escape, id};
use super::people::People;
use crate::access::{Access, CouldRead};
use crate::recoveries::Identity;
use crate::releases::{Decision, Release};
use crate::rows::{MemberInfo, table};
use crate::tables::Tables;
use crate::timeline::short;
use crate::values::{read, readable};

pub(super) fn members(page: &mut Page, state: &Tables) {
    page.heading("members", "Members");
    let rows = state.rows(table::MEMBERS_INFO).filter_map(|(key, row)| {
        let info = read::<MemberInfo>(&row.value)?;
        Some([
            id(&readable(key)),
            escape(info.name().unwrap_or("-")),
            escape(&info.status),
            (if info.is_counted() {
                "counted"
            } else {
                "not counted"
            })
            .to_owned(),
            escape(info.recovery_role.as_deref().unwrap_or("-")),
            escape(&row.written.to_string()),
        ])
    });
    page.table(
        [
            "member",
            "calls itself",
            "status",
            "vote",
            "recovery role",
            "since",
        ],
        rows,
    );
}

pub(super) fn contracts(page: &mut Page, state: &Tables, access: &Access, people: &People) {
    page.heading("contracts", "Contracts: which code may act");
    let contracts: Vec<String> = state
        .rows(table::ACCEPTED_CONTRACTS)
        .map(|(key, _)| readable(key))
        .collect();
    if contracts.is_empty() {
        page.raw("<p>None was accepted.</p>");
    }
    for contract in contracts {
        let Some(now) = access.now_for(&contract) else {
            continue;
        };
        page.subheading(&contract);
        if let Some(accepted) = &now.accepted {
            page.raw(&format!(
                "<p>Accepted in {}{}.</p>",
                escape(&accepted.transaction.to_string()),
                decided(accepted.decision.as_ref(), people)
            ));
        }
        if !now.execution_disabled_by.is_empty() {
            let who: Vec<String> = now
                .execution_disabled_by
                .iter()
                .map(|member| people.show(member))
                .collect();
            page.raw(&format!(
                "<p class=\"verdict doubtful\">Execution is switched off by {}.</p>",
                who.join(", ")
            ));
        }
        match &now.policy {
            None => page.raw("<p>No policy: no code is admitted.</p>"),
            Some(policy) => {
                let rows = policy
                    .claims
                    .iter()
                    .map(|(claim, values)| [escape(claim), one_of(values)]);
                page.table(["claim", "must be one of"], rows);
                page.raw(&format!(
                    "<p>Policy as of {}{}.</p>",
                    escape(&policy.basis.transaction.to_string()),
                    decided(policy.basis.decision.as_ref(), people)
                ));
            }
        }
        if !now.delegates.is_empty() {
            let rows = now.delegates.iter().map(|delegate| {
                let text = |field: &str| {
                    let value = delegate.row.get(field);
                    escape(
                        &value
                            .map(|value| {
                                value
                                    .as_str()
                                    .map_or_else(|| value.to_string(), str::to_owned)
                            })
                            .unwrap_or_default(),
                    )
                };
                [
                    text("delegateType"),
                    text("delegateId"),
                    text("claims"),
                    escape(&delegate.transaction.to_string()),
                ]
            });
            page.table(["delegate", "for", "claims", "set in"], rows);
        }
    }
}

/// The values that a claim may have, one a line.
fn one_of(values: &Value) -> String {
    let text = |value: &Value| {
        let text = value.as_str().map(str::to_owned);
        code(&text.unwrap_or_else(|| value.to_string()))
    };
    match values.as_array() {
        Some(values) => values.iter().map(text).collect::<Vec<_>>().join("<br>"),
        None => text(values),
    }
}

/// By which proposal, and whose votes; nothing where the ledger does not say it.
fn decided(decision: Option<&Decision>, people: &People) -> String {
    let Some(decision) = decision else {
        return String::new();
    };
    let whose = |wanted: bool| {
        let cast = decision.votes.iter().filter(|(_, vote)| **vote == wanted);
        people.list(cast.map(|(member, _)| member.as_str()))
    };
    format!(
        " by proposal {} of {}: {} for, {} against",
        id(&decision.proposal),
        people.show(&decision.proposer),
        whose(true),
        whose(false)
    )
}

pub(super) fn received(page: &mut Page, releases: &[Release]) {
    page.heading("releases", "Releases: who received what");
    let rows = releases.iter().map(|release| {
        let outcome = release.text("outcome").unwrap_or("-");
        let class = if outcome == "granted" { "good" } else { "bad" };
        let reason = release
            .text("reason")
            .map(|reason| format!(": {}", escape(reason)))
            .unwrap_or_default();
        [
            escape(&release.transaction.to_string()),
            format!("<span class=\"{class}\">{}</span>{reason}", escape(outcome)),
            escape(release.text("contractId").unwrap_or("-")),
            escape(release.text("kind").unwrap_or("-")),
            named(release.subject()),
            release.code().map_or_else(|| "-".to_owned(), id),
            release
                .decision
                .as_ref()
                .map_or_else(|| "-".to_owned(), |decision| id(&decision.proposal)),
            (if release.proven { "yes" } else { "no" }).to_owned(),
        ]
    });
    page.table(
        [
            "transaction",
            "outcome",
            "contract",
            "kind",
            "name",
            "host data",
            "policy by",
            "in receipt",
        ],
        rows,
    );
}

/// A name, its owner's id shortened.
fn named(subject: &str) -> String {
    match subject.split_once('_') {
        Some((owner, name)) if short(owner) != owner => {
            format!(
                "<abbr title=\"{}\">{}_{}</abbr>",
                escape(subject),
                short(owner),
                escape(name)
            )
        }
        _ => id(subject),
    }
}

pub(super) fn identities(page: &mut Page, identities: &[Identity], people: &People) {
    page.heading("identities", "Service identities");
    let rows = identities.iter().map(|identity| {
        let shares = identity.shares.iter().map(|(member, _)| member.as_str());
        let shares = people.list(shares);
        let shown = |id: Option<ledger::TxId>| {
            id.map_or_else(|| "-".to_owned(), |id| escape(&id.to_string()))
        };
        [
            id(&identity.key),
            identity.recovery.to_string(),
            shown(identity.from),
            shown(identity.opened),
            escape(identity.by.as_deref().unwrap_or("-")),
            shares,
            identity.endorses.as_ref().map_or_else(
                || "-".to_owned(),
                |key| {
                    if *key == identity.key {
                        "itself".to_owned()
                    } else {
                        id(key)
                    }
                },
            ),
        ]
    });
    page.table(
        [
            "identity",
            "recoveries before",
            "from",
            "opened in",
            "recovered by",
            "shares of",
            "endorses",
        ],
        rows,
    );
}

pub(super) fn recovery(page: &mut Page, access: Option<&CouldRead>, people: &People) {
    let Some(access) = access else {
        return;
    };
    page.heading("holders", "Who holds the ledger's secrets");
    let rows = access.nodes.iter().map(|node| {
        [
            id(&node.node),
            escape(node.platform.as_deref().unwrap_or("-")),
            node.code.as_deref().map_or_else(|| "-".to_owned(), id),
            escape(&node.transaction.to_string()),
        ]
    });
    page.table(["trusted node", "platform", "measurement", "since"], rows);
    let whose = |members: &[String]| people.list(members.iter().map(String::as_str));
    let threshold = access
        .recovery
        .threshold
        .map_or_else(|| "?".to_owned(), |n| n.to_string());
    page.raw(&format!(
        "<p>Recovery: {threshold} of the shares held by {}; each alone: {}.</p>",
        whose(&access.recovery.participants),
        whose(&access.recovery.owners)
    ));
}
