//! One self-contained HTML page for people: what the ledger proves, who decided, who received what.
//!
//! Everything that comes from the ledger is untrusted text and is escaped; the page loads nothing and runs no script.

mod html;
mod people;
mod sections;
mod timeline;

use std::fmt::Write as _;

use ledger::{Digest, Entry, Report};

use crate::access::{Access, Moment};
use crate::legitimacy::Legitimacy;
use crate::recoveries::Recoveries;
use crate::releases::{Filter, Release, Releases};
use crate::rows::table;
use crate::tables::Tables;
use crate::timeline::{Event, Timeline, What, date, short};
use crate::values::read;
use html::{Page, code, escape};
use people::People;

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
        let releases = self.releases.finish();
        let events = self.timeline.finish();
        let people = People::of(&self.state, &events);
        let mut page = Page::new("Ledger report");
        covered(&mut page, &events);
        verdict(&mut page, verified);
        legitimacy(&mut page, governance);
        summary(&mut page, &self.state, &releases, &events);
        page.contents();
        sections::members(&mut page, &self.state);
        sections::contracts(&mut page, &self.state, &self.access, &people);
        sections::received(&mut page, &releases);
        sections::identities(&mut page, &self.recoveries.finish(), &people);
        sections::recovery(&mut page, self.access.finish().as_ref(), &people);
        timeline::timeline(&mut page, &events, &people);
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

/// From when to when.
fn covered(page: &mut Page, events: &[Event]) {
    let times = || events.iter().filter_map(|event| event.signed_at);
    if let (Some(first), Some(last)) = (times().min(), times().max()) {
        let (first, last) = (escape(&date(first)), escape(&date(last)));
        page.raw(&format!(
            "<p class=\"soft\">What happened between {first} and {last}, by the clock of the service's nodes.</p>"
        ));
    }
}

/// A number of things, in words.
fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
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
        "<p class=\"verdict {class}\"><strong>{words}</strong><br>{} in {} up to {}, {}, {} of them by the service itself (COSE).</p>",
        count(verified.entries, "transaction", "transactions"),
        count(verified.chunks, "file", "files"),
        escape(&until),
        count(verified.signatures, "signature", "signatures"),
        verified.cose_signatures
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
        "<p class=\"verdict good\"><strong>Members decided what it says.</strong><br>Government was replayed from the first transaction: {}, {}, {} applied, {}, each message signed by its member and each decision as the constitution in force gives it.</p>",
        count(governance.proposals, "proposal", "proposals"),
        count(governance.ballots, "ballot", "ballots"),
        governance.applied,
        count(governance.recoveries, "recovery", "recoveries")
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
