//! A script worker on its own: what `cleanroom script-worker` does, for tests of the pool.

fn main() -> std::io::Result<()> {
    node::script::serve()
}
