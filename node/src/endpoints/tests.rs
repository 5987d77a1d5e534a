//! What needs no node around it.

use super::node::byte_range;

#[test]
fn d37_byte_ranges_stay_within_the_file() {
    for (header, want) in [
        ("bytes=0-9", Some((0, 10))),
        ("bytes=90-", Some((90, 100))),
        ("bytes=-10", Some((90, 100))),
        ("bytes=-1000", Some((0, 100))),
        ("bytes=50-1000", Some((50, 100))),
        ("bytes=100-", None),
        ("bytes=9-8", None),
        ("bytes=0-1,3-4", None),
        ("bytes=+1-2", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=0-18446744073709551615", None),
    ] {
        assert_eq!(byte_range(header, 100), want, "{header}");
    }
}
