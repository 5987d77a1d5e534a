//! Tagged templates in a module's text. The strings a tag gets are frozen; the engine's bytecode forgets that.

/// Whether the text may have a tagged template. Where reading it would need a parser, the answer is that it may.
pub(crate) fn may_be_tagged(text: &str) -> bool {
    // Ends of lines that would be looked for in vain below, and a first line that is no code.
    if text.contains(['\u{2028}', '\u{2029}']) || text.starts_with("#!") {
        return true;
    }
    let mut reader = Reader {
        rest: text.as_bytes(),
        before: Before::Nothing,
        open: Vec::new(),
    };
    reader.read().is_none()
}

/// The token before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Before {
    /// The start, an operator, a word after which an expression begins: what follows begins one.
    Nothing,
    /// A dot, after which every word is a name.
    Dot,
    /// A name, a number, a text: what follows goes on with it.
    Value,
    /// Something that may end a value or a statement.
    End,
}

/// What a brace ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Block,
    Substitution,
}

struct Reader<'a> {
    rest: &'a [u8],
    before: Before,
    open: Vec<Open>,
}

/// Reserved words of modules after which an expression begins.
const EXPECTING: [&[u8]; 15] = [
    b"await",
    b"case",
    b"default",
    b"delete",
    b"do",
    b"else",
    b"extends",
    b"in",
    b"instanceof",
    b"new",
    b"return",
    b"throw",
    b"typeof",
    b"void",
    b"yield",
];

fn in_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'#') || !byte.is_ascii()
}

impl Reader<'_> {
    /// Reads to the end; `None` at a tagged template, and in doubt.
    fn read(&mut self) -> Option<()> {
        while let Some(&byte) = self.rest.first() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' => self.skip(1),
                b'/' => self.slash()?,
                b'`' => {
                    if !matches!(self.before, Before::Nothing) {
                        return None;
                    }
                    self.skip(1);
                    self.template()?;
                }
                b'"' | b'\'' => {
                    self.skip(1);
                    self.until(byte)?;
                    self.before = Before::Value;
                }
                b'{' => {
                    self.open.push(Open::Block);
                    self.token(1, Before::Nothing);
                }
                b'}' => {
                    self.skip(1);
                    match self.open.pop()? {
                        Open::Block => self.before = Before::End,
                        Open::Substitution => self.template()?,
                    }
                }
                b')' | b']' => self.token(1, Before::End),
                b'.' if self.rest.starts_with(b"...") => self.token(3, Before::Nothing),
                b'.' => self.token(1, Before::Dot),
                b'+' | b'-' if self.rest.get(1) == Some(&byte) => self.token(2, Before::End),
                _ if in_word(byte) => self.word(),
                // An escaped name, or something new.
                b'\\' | 0..=b' ' | 0x7f => return None,
                _ => self.token(1, Before::Nothing),
            }
        }
        self.open.is_empty().then_some(())
    }

    fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
    }

    fn token(&mut self, length: usize, before: Before) {
        self.skip(length);
        self.before = before;
    }

    fn word(&mut self) {
        let length = self.rest.iter().take_while(|byte| in_word(**byte)).count();
        let word = self.rest.get(..length).unwrap_or_default();
        let expecting = self.before != Before::Dot && EXPECTING.contains(&word);
        self.token(
            length,
            if expecting {
                Before::Nothing
            } else {
                Before::Value
            },
        );
    }

    /// A comment, a division or a regular expression.
    fn slash(&mut self) -> Option<()> {
        match self.rest.get(1) {
            Some(b'/') => {
                let end = |byte: &u8| matches!(byte, b'\n' | b'\r');
                let length = self.rest.iter().position(end);
                self.skip(length.unwrap_or(self.rest.len()));
                Some(())
            }
            Some(b'*') => {
                let end = self.rest.windows(2).skip(2).position(|two| two == b"*/")?;
                self.skip(end + 4);
                Some(())
            }
            _ => match self.before {
                Before::Value => {
                    self.token(1, Before::Nothing);
                    Some(())
                }
                Before::Nothing => {
                    self.skip(1);
                    self.pattern()?;
                    self.before = Before::Value;
                    Some(())
                }
                Before::End | Before::Dot => None,
            },
        }
    }

    /// To the end of a regular expression; its flags are read as a word.
    fn pattern(&mut self) -> Option<()> {
        let mut in_class = false;
        loop {
            let byte = *self.rest.first()?;
            self.skip(1);
            match byte {
                b'\\' => self.skip(1),
                b'[' => in_class = true,
                b']' => in_class = false,
                b'\n' | b'\r' => return None,
                b'/' if !in_class => return Some(()),
                _ => {}
            }
        }
    }

    /// To the end of a text in quotes.
    fn until(&mut self, quote: u8) -> Option<()> {
        loop {
            let byte = *self.rest.first()?;
            self.skip(1);
            match byte {
                b'\\' => self.skip(1),
                b'\n' | b'\r' => return None,
                _ if byte == quote => return Some(()),
                _ => {}
            }
        }
    }

    /// To the end of a template, or to its next substitution.
    fn template(&mut self) -> Option<()> {
        loop {
            let byte = *self.rest.first()?;
            self.skip(1);
            match byte {
                b'\\' => self.skip(1),
                b'`' => {
                    self.before = Before::Value;
                    return Some(());
                }
                b'$' if self.rest.first() == Some(&b'{') => {
                    self.open.push(Open::Substitution);
                    self.token(1, Before::Nothing);
                    return Some(());
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_constitution_has_none() {
        assert!(!may_be_tagged(&crate::default_module()));
    }

    #[test]
    fn what_is_no_tag() {
        for text in [
            "",
            "const a = `b`;",
            "f(`a`, `${b}`, [`c`], {d: `e`}, x ? `f` : `g`, () => `h`)",
            "return `a${`b${`c`}` + { d: `e` }.d}f`",
            "// it's `quoted`\nconst a = 1; /* `too` ' */ const b = 'it`s' + \"`\" + '\\'`';",
            "const r = /[/`']`\\/`/.test(`a`); const q = a / b / `c`;",
            "throw `a`; typeof `b`; for (const x in `c`) {}",
            "f(...`a`); x = a ?? `b`; y = a < `b`; z = !`c`;",
        ] {
            assert!(!may_be_tagged(text), "{text}");
        }
    }

    #[test]
    fn what_is_a_tag_or_may_be_one() {
        for text in [
            "tag`a`",
            "tag `a`",
            "tag\n// comment\n/* another */`a`",
            "a.return`b`",
            "a?.in`b`",
            "of`b`",
            "f()`a`",
            "f[0]`a`",
            "`a``b`",
            "'a'`b`",
            "`${tag`a`}`",
            "`${1}`; `${{a: 1}.a`b`}`",
            "const a = 'it\\'s'; tag`b`",
            "const r = /`/; tag`a`",
            "const r = /[/]`/g; tag`a`",
            "a = b / c; d`e`; f / g",
            "[...typeof /x`/]; tag`a`; /`/",
            "if (a) /`/.test(b); tag`c`",
            "a++ /`/ 1; tag`c`; `/`",
            "// end \u{2028} tag`a`",
            "// end \r tag`a`",
            "#! `\ntag`a`",
            "t\\u0061g`a`",
            "täg`a`",
            "this.#in`a`",
            // Not a module at all.
            "`a",
            "'a",
            "/a",
            "/* a",
            "}",
            "{",
            "'a\nb'",
        ] {
            assert!(may_be_tagged(text), "{text}");
        }
    }
}
