use ccf_rs::{ReadContext, Reply, Result, Table};

static NOTES: Table<String, String> = Table::json("public:notes");

fn handler(ctx: &mut ReadContext<'_>) -> Result<Reply> {
    use ccf_rs::Context;
    ctx.read(&NOTES).put(&"a".to_owned(), &"b".to_owned())?;
    Ok(Reply::ok())
}

fn main() {}
