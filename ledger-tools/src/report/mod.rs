//! One self-contained HTML page for people: what the ledger proves, who decided, who received what.
//!
//! Everything that comes from the ledger is untrusted text and is escaped; the page loads nothing and runs no script.

mod html;

use std::fmt::Write as _;

use ledger::{Digest, Entry, Report};

use crate::access::{Access, CouldRead, Moment};
use crate::legitimacy::Legitimacy;
use crate::recoveries::{Identity, Recoveries};
use crate::releases::{Decision, Filter, Release, Releases};
use crate::rows::{MemberInfo, table};
use crate::tables::Tables;
use crate::timeline::{Event, Timeline, What, date, short};
use crate::values::{read, readable};
use html::{Page, code, escape, id};

/// Gathers what the page shows, from transactions in order.
pub struct ReportPage {
    timeline: Timeline,
    releases: Releases,
    recoveries: Recoveries,
    state: Tables,
    access: Access,
}

impl Default for ReportPage {
    fn default() -> Self {
        Self {
            timeline: Timeline::default(),
            releases: Releases::matching(Filter::default()),
            recoveries: Recoveries::default(),
            state: Tables::new(),
            access: Access::to("", None, Moment::End),
        }
    }
}

impl ReportPage {
    /// Takes the next transaction.
    pub fn transaction(&mut self, entry: &Entry<'_>) {
        self.timeline.transaction(entry);
        self.releases.transaction(entry);
        self.recoveries.transaction(entry);
        self.state.apply_some(entry.id(), &entry.sections, is_shown);
        self.access.transaction(entry);
    }

    /// The page.
    #[must_use]
    pub fn finish(self, verified: &Report, governance: &Legitimacy) -> String {
        let mut page = Page::new("Ledger report");
        verdict(&mut page, verified);
        legitimacy(&mut page, governance);
        let releases = self.releases.finish();
        let events = self.timeline.finish();
        summary(&mut page, &self.state, &releases, &events);
        members(&mut page, &self.state);
        contracts(&mut page, &self.state, &self.access);
        received(&mut page, &releases);
        identities(&mut page, &self.recoveries.finish());
        recovery(&mut page, self.access.finish().as_ref());
        timeline(&mut page, &events);
        page.finish()
    }
}

/// Tables whose rows the page lists as they are at the end.
fn is_shown(name: &str) -> bool {
    [
        table::MEMBERS_INFO,
        table::ACCEPTED_CONTRACTS,
        table::CONSTITUTION,
    ]
    .contains(&name)
}

fn verdict(page: &mut Page, verified: &Report) {
    let until = verified
        .verified_until
        .map(|id| id.to_string())
        .unwrap_or_default();
    let (class, words) = if verified.pinned {
        (
            "good",
            "Verified against the service identity that was given.",
        )
    } else {
        (
            "doubtful",
            "Consistent in itself. No service identity was given to hold it against, so it could be anybody's.",
        )
    };
    page.raw(&format!(
        "<p class=\"verdict {class}\"><strong>{words}</strong><br>{} transactions in {} files up to {}, {} signatures, {} of them COSE.</p>",
        verified.entries, verified.chunks, escape(&until), verified.signatures, verified.cose_signatures
    ));
    if verified.unsigned_tail > 0 || verified.torn_bytes > 0 {
        page.raw(&format!(
            "<p class=\"verdict doubtful\">Behind the last signature are {} transactions and {} bytes of an unfinished one. They are not verified and not part of this report.</p>",
            verified.unsigned_tail, verified.torn_bytes
        ));
    }
    if let Some(identity) = &verified.service_identity {
        page.raw(&format!("<p>Service identity: {}</p>", code(identity)));
    }
}

fn legitimacy(page: &mut Page, governance: &Legitimacy) {
    if let Some(breach) = &governance.breach {
        page.raw(&format!(
            "<p class=\"verdict bad\"><strong>Not legitimate.</strong> {}<br>Nothing from there on was decided as the members agreed to decide.</p>",
            escape(&breach.to_string())
        ));
        return;
    }
    page.raw(&format!(
        "<p class=\"verdict good\"><strong>Members decided what it says.</strong><br>Government was replayed from the first transaction: {} proposals, {} ballots, {} applied, {} recoveries, each message signed by its member and each decision as the constitution in force gives it.</p>",
        governance.proposals, governance.ballots, governance.applied, governance.recoveries
    ));
    if !governance.unjudged.is_empty() {
        page.raw(&format!(
            "<p class=\"verdict doubtful\">{} acts are in a form that is not judged, the first in {}: {}.</p>",
            governance.unjudged.len(),
            governance.unjudged.first().map(|act| escape(&act.transaction.to_string())).unwrap_or_default(),
            governance.unjudged.first().map(|act| escape(act.reason)).unwrap_or_default()
        ));
    }
}

fn summary(page: &mut Page, state: &Tables, releases: &[Release], events: &[Event]) {
    let outcome = |want| {
        releases
            .iter()
            .filter(|release| release.text("outcome") == Some(want))
            .count()
    };
    let simulated = releases.iter().any(|release| {
        let code = release.record.get("code");
        code.and_then(|code| code.get("simulated"))
            .is_some_and(|flag| flag == true)
    });
    let decided = |want: &str| {
        let matching = events.iter().filter(
            |event| matches!(&event.what, What::ProposalDecided { state, .. } if state == want),
        );
        matching.count()
    };
    let facts = [
        ("members", state.rows(table::MEMBERS_INFO).count()),
        (
            "contracts accepted",
            state.rows(table::ACCEPTED_CONTRACTS).count(),
        ),
        ("proposals accepted", decided("Accepted")),
        ("proposals rejected", decided("Rejected")),
        ("grants", outcome("granted")),
        ("denials recorded", outcome("denied")),
    ];
    let mut cells = String::new();
    for (name, count) in facts {
        // Writing to a string cannot fail.
        let _ = write!(cells, "<div><b>{count}</b>{name}</div>");
    }
    page.raw(&format!("<div class=\"facts\">{cells}</div>"));
    if simulated {
        page.raw("<p class=\"verdict doubtful\">Some evidence was made on the simulated platform. It proves nothing about any machine.</p>");
    }
    if let Some(text) = state.only(table::CONSTITUTION).and_then(read::<String>) {
        let digest = Digest::of(text.as_bytes()).to_hex();
        page.raw(&format!(
            "<p>Constitution in force: SHA-256 {}</p>",
            code(&digest)
        ));
    }
}

fn members(page: &mut Page, state: &Tables) {
    page.heading("Members");
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

fn contracts(page: &mut Page, state: &Tables, access: &Access) {
    page.heading("Contracts: which code may act");
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
                accepted.decision.as_ref().map(votes).unwrap_or_default()
            ));
        }
        if !now.execution_disabled_by.is_empty() {
            let who: Vec<String> = now
                .execution_disabled_by
                .iter()
                .map(|member| id(member))
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
                    .map(|(claim, values)| [escape(claim), code(&values.to_string())]);
                page.table(["claim", "must be one of"], rows);
                page.raw(&format!(
                    "<p>Policy as of {}{}.</p>",
                    escape(&policy.basis.transaction.to_string()),
                    policy
                        .basis
                        .decision
                        .as_ref()
                        .map(votes)
                        .unwrap_or_default()
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

fn votes(decision: &Decision) -> String {
    let whose = |wanted: bool| {
        let cast = decision.votes.iter().filter(|(_, vote)| **vote == wanted);
        let members: Vec<String> = cast.map(|(member, _)| id(member)).collect();
        if members.is_empty() {
            "nobody".to_owned()
        } else {
            members.join(", ")
        }
    };
    format!(
        " by proposal {} of {}: {} for, {} against",
        id(&decision.proposal),
        id(&decision.proposer),
        whose(true),
        whose(false)
    )
}

fn received(page: &mut Page, releases: &[Release]) {
    page.heading("Releases: who received what");
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

fn identities(page: &mut Page, identities: &[Identity]) {
    page.heading("Service identities");
    let rows = identities.iter().map(|identity| {
        let shares: Vec<String> = identity
            .shares
            .iter()
            .map(|(member, _)| id(member))
            .collect();
        let shown = |id: Option<ledger::TxId>| {
            id.map_or_else(|| "-".to_owned(), |id| escape(&id.to_string()))
        };
        [
            id(&identity.key),
            identity.recovery.to_string(),
            shown(identity.from),
            shown(identity.opened),
            escape(identity.by.as_deref().unwrap_or("-")),
            if shares.is_empty() {
                "-".to_owned()
            } else {
                shares.join(", ")
            },
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

fn recovery(page: &mut Page, access: Option<&CouldRead>) {
    let Some(access) = access else {
        return;
    };
    page.heading("Who holds the ledger's secrets");
    let rows = access.nodes.iter().map(|node| {
        [
            id(&node.node),
            escape(node.platform.as_deref().unwrap_or("-")),
            node.code.as_deref().map_or_else(|| "-".to_owned(), id),
            escape(&node.transaction.to_string()),
        ]
    });
    page.table(["trusted node", "platform", "measurement", "since"], rows);
    let whose = |members: &[String]| {
        let members: Vec<String> = members.iter().map(|member| id(member)).collect();
        if members.is_empty() {
            "nobody".to_owned()
        } else {
            members.join(", ")
        }
    };
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

fn timeline(page: &mut Page, events: &[Event]) {
    page.heading("Timeline");
    page.raw("<p>Times are those of the next signature, by the node's clock, which the operator controls.</p>");
    let rows = events.iter().map(|event| {
        [
            escape(&event.transaction.to_string()),
            event.signed_at.map(date).unwrap_or_default(),
            escape(&event.what.to_string()),
        ]
    });
    page.table(["transaction", "signed by", "what happened"], rows);
}
