//! Which tables a script may touch (CCF interface, section 4.6).

/// What kind of script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `validate`, `resolve` and ballots: may read governance and framework tables.
    ReadOnly,
    /// `apply`: may also write governance tables, and write (not read) public application tables.
    Apply,
}

/// What a script may do with one table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission {
    /// May read.
    pub read: bool,
    /// May write.
    pub write: bool,
}

/// The name starts with `ccf.` but with none of the framework's prefixes; no such table can exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("table name {table} uses a reserved prefix")]
pub struct ReservedTable {
    /// The name asked for.
    pub table: String,
}

impl Access {
    /// What a script of this kind may do with `table`.
    ///
    /// # Errors
    /// [`ReservedTable`] for names with a reserved prefix that belong to no namespace.
    pub fn permission(self, table: &str) -> Result<Permission, ReservedTable> {
        let (public, name) = match table.strip_prefix("public:") {
            Some(name) => (true, name),
            None => (false, table),
        };
        let governance = name.starts_with("ccf.gov.");
        let internal = name.starts_with("ccf.internal.");
        if name.starts_with("ccf.") && !governance && !internal {
            return Err(ReservedTable {
                table: table.to_owned(),
            });
        }
        let apply = self == Access::Apply;
        Ok(Permission {
            read: public && (governance || internal),
            write: public && !internal && apply,
        })
    }

    /// How messages call this kind of script.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Access::ReadOnly => "read-only governance",
            Access::Apply => "read-write governance",
        }
    }
}

impl Permission {
    /// How messages call a table with this permission.
    pub(crate) fn describe(self) -> &'static str {
        match (self.read, self.write) {
            (true, true) => "readable and writable",
            (true, false) => "read-only",
            (false, true) => "write-only",
            (false, false) => "inaccessible",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces() {
        let table = [
            ("public:ccf.gov.members.info", (true, false), (true, true)),
            (
                "public:ccf.internal.signatures",
                (true, false),
                (true, false),
            ),
            ("ccf.gov.x", (false, false), (false, false)),
            ("ccf.internal.x", (false, false), (false, false)),
            ("public:contracts", (false, false), (false, true)),
            ("secrets-1", (false, false), (false, false)),
            ("", (false, false), (false, false)),
            ("public:", (false, false), (false, true)),
        ];
        for (name, read_only, apply) in table {
            for (access, (read, write)) in [(Access::ReadOnly, read_only), (Access::Apply, apply)] {
                let got = access.permission(name).unwrap();
                assert_eq!(got, Permission { read, write }, "{name} {access:?}");
            }
        }
        for name in ["public:ccf.x", "ccf.x", "public:ccf.", "ccf.govx"] {
            assert!(Access::Apply.permission(name).is_err(), "{name}");
        }
    }
}
