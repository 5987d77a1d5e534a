//! Members by the names they were given.

use std::collections::BTreeMap;

use super::html::{escape, id};
use crate::rows::{MemberInfo, table};
use crate::tables::Tables;
use crate::timeline::{Event, What, short};
use crate::values::{read, readable};

/// Names by member id. A name is what the member's data say, voted on by the others; one that two members share is no name.
#[derive(Default)]
pub(super) struct People(BTreeMap<String, String>);

impl People {
    /// Of the members there are and, from the events, of those who are gone.
    pub(super) fn of(state: &Tables, events: &[Event]) -> Self {
        let mut names = BTreeMap::new();
        for event in events {
            if let What::MemberAdded { member, name, .. } = &event.what {
                names.insert(member.clone(), name.clone());
            }
        }
        for (key, row) in state.rows(table::MEMBERS_INFO) {
            let info = read::<MemberInfo>(&row.value);
            let name = info.and_then(|info| info.name().map(str::to_owned));
            names.insert(readable(key), name);
        }
        let alone = |name: &String| {
            let same = names.values().filter(|other| other.as_ref() == Some(name));
            same.count() == 1
        };
        let named = names.iter().filter_map(|(member, name)| {
            let name = name.clone().filter(alone)?;
            Some((member.clone(), name))
        });
        Self(named.collect())
    }

    /// A member by name, or else by id; the whole id is shown on pointing at it.
    pub(super) fn show(&self, member: &str) -> String {
        match self.0.get(member) {
            Some(name) => named(member, name),
            None => id(member),
        }
    }

    /// Several members, or that there are none.
    pub(super) fn list<'m>(&self, members: impl Iterator<Item = &'m str>) -> String {
        let members: Vec<String> = members.map(|member| self.show(member)).collect();
        if members.is_empty() {
            return "nobody".to_owned();
        }
        members.join(", ")
    }

    /// A sentence as HTML, with names for the shortened ids in it.
    pub(super) fn sentence(&self, text: &str) -> String {
        let (mut html, mut rest) = (String::new(), text);
        // In one pass: a name that looks like another member's id stays a name.
        while let Some((at, member, name)) = self.first_in(rest) {
            let (before, from) = rest.split_at(at);
            html += &escape(before);
            html += &named(member, name);
            rest = from.strip_prefix(short(member)).unwrap_or_default();
        }
        html + &escape(rest)
    }

    fn first_in(&self, text: &str) -> Option<(usize, &str, &str)> {
        let found = self.0.iter().filter_map(|(member, name)| {
            let at = text.find(short(member))?;
            Some((at, member.as_str(), name.as_str()))
        });
        found.min_by_key(|(at, ..)| *at)
    }
}

fn named(member: &str, name: &str) -> String {
    let (member, name) = (escape(member), escape(name));
    format!("<abbr class=\"name\" title=\"{member}\">{name}</abbr>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_anothers_id_or_markup_stays_what_it_is() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let people = People(BTreeMap::from([
            (a.clone(), short(&b).to_owned()),
            (b.clone(), "<b>Bo".to_owned()),
        ]));
        let html = people.sentence(&format!("{} & {} vote", short(&a), short(&b)));
        assert_eq!(
            html,
            format!("{} &amp; {} vote", named(&a, short(&b)), named(&b, "<b>Bo"))
        );
        assert!(html.contains("&lt;b&gt;Bo") && !html.contains("<b>"));
    }
}
