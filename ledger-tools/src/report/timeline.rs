//! What happened, a row for each transaction.

use super::html::{Page, escape};
use super::people::People;
use crate::timeline::{Event, What, date};

pub(super) fn timeline(page: &mut Page, events: &[Event], people: &People) {
    page.heading("timeline", "Timeline");
    page.raw("<p>Times are those of the next signature, by the node's clock, which the operator controls.</p>");
    let transactions = events.chunk_by(|a, b| a.transaction == b.transaction);
    let mut day = String::new();
    let rows = transactions.filter_map(|events| {
        let first = events.first()?;
        let signed = first.signed_at.map(date).unwrap_or_default();
        let (date, time) = signed.split_once('T').unwrap_or(("", &signed));
        // The day once, where it begins.
        let when = if date == day {
            escape(time)
        } else {
            date.clone_into(&mut day);
            format!("{} {}", escape(date), escape(time))
        };
        let told: Vec<String> = events.iter().map(|event| told(event, people)).collect();
        Some([
            escape(&first.transaction.to_string()),
            when,
            told.join("<br>"),
        ])
    });
    page.table(["transaction", "signed by", "what happened"], rows);
}

fn told(event: &Event, people: &People) -> String {
    let text = event.what.to_string();
    match &event.what {
        // The id that belongs to the name.
        What::MemberAdded { .. } => escape(&text),
        // Bookkeeping, beside what it is about.
        What::Governed { .. } => format!("<span class=\"soft\">{}</span>", people.sentence(&text)),
        _ => people.sentence(&text),
    }
}
