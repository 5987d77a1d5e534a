//! HTML, as much of it as the report needs.

use super::short;

/// A page under construction.
pub(super) struct Page {
    body: String,
    /// Where the list of contents goes, and what it lists: anchors and headings.
    contents_at: usize,
    headings: Vec<(&'static str, &'static str)>,
}

const STYLE: &str = "
:root { --ink: #1c2733; --soft: #5b6b7b; --line: #dfe5ea; --good: #146c43; --bad: #a12622; --doubt: #8a5a00; --page: #ffffff; --band: #f5f7f9 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --soft: #9fb0c0; --line: #33414e; --good: #6fcf97; --bad: #f28b82; --doubt: #f2c46d; --page: #151b21; --band: #1d252d } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.7rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem } h3 { font-size: 1rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; width: 100%; font-size: .92em }
th { text-align: left; color: var(--soft); font-weight: 600 } th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
code { font: .92em ui-monospace, monospace; word-break: break-all }
td:nth-child(-n+2) { white-space: nowrap } abbr { font: .92em ui-monospace, monospace; text-decoration: none; cursor: help }
.name { font: inherit; border-bottom: 1px dotted var(--soft) } .soft { color: var(--soft) } nav { margin-top: 1.5rem; display: flex; flex-wrap: wrap; gap: .3rem 1.2rem } a { color: inherit }
.verdict { padding: .6rem .9rem; border-left: .3rem solid; background: var(--band) }
.good { color: var(--good) } .bad { color: var(--bad) } .doubtful { color: var(--doubt) }
.facts { display: flex; flex-wrap: wrap; gap: 1rem } .facts div { background: var(--band); padding: .6rem 1rem; min-width: 7rem; color: var(--soft) } .facts b { display: block; font-size: 1.5rem; color: var(--ink) }
";

impl Page {
    pub(super) fn new(title: &str) -> Self {
        let title = escape(title);
        Self {
            contents_at: 0,
            headings: Vec::new(),
            body: format!(
                "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
                 <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
                 <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
                 <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
            ),
        }
    }

    pub(super) fn heading(&mut self, anchor: &'static str, text: &'static str) {
        self.headings.push((anchor, text));
        self.raw(&format!("<h2 id=\"{anchor}\">{}</h2>", escape(text)));
    }

    /// Here the page lists the headings that follow.
    pub(super) const fn contents(&mut self) {
        self.contents_at = self.body.len();
    }

    pub(super) fn subheading(&mut self, text: &str) {
        self.raw(&format!("<h3>{}</h3>", escape(text)));
    }

    /// A table. Cells are HTML already.
    pub(super) fn table<const N: usize>(
        &mut self,
        columns: [&str; N],
        rows: impl Iterator<Item = [String; N]>,
    ) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            self.raw("<p>None.</p>");
            return;
        }
        self.raw("<div class=\"scroll\"><table><thead><tr>");
        for column in columns {
            self.raw(&format!("<th>{}</th>", escape(column)));
        }
        self.raw("</tr></thead><tbody>");
        for row in rows {
            let cells: String = row.iter().map(|cell| format!("<td>{cell}</td>")).collect();
            self.raw(&format!("<tr>{cells}</tr>"));
        }
        self.raw("</tbody></table></div>");
    }

    /// Adds HTML as it stands.
    pub(super) fn raw(&mut self, html: &str) {
        self.body.push_str(html);
        self.body.push('\n');
    }

    pub(super) fn finish(mut self) -> String {
        self.body.push_str("</body></html>\n");
        let links = self.headings.iter().map(|(anchor, text)| {
            let (name, _) = text.split_once(':').unwrap_or((text, ""));
            format!("<a href=\"#{anchor}\">{}</a>", escape(name))
        });
        let links = links.collect::<Vec<_>>().join(" ");
        self.body
            .insert_str(self.contents_at, &format!("<nav>{links}</nav>\n"));
        self.body
    }
}

/// Text as HTML shows it.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

/// A value in full.
pub(super) fn code(text: &str) -> String {
    format!("<code>{}</code>", escape(text))
}

/// An id, shortened; the whole is shown on pointing at it.
pub(super) fn id(text: &str) -> String {
    format!(
        "<abbr title=\"{}\">{}</abbr>",
        escape(text),
        escape(short(text))
    )
}
