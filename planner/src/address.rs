//! Addresses and address blocks as values, however they are written.
//!
//! Engines echo what they were given (host bits, upper case, long IPv6 forms) or print parsed forms, and some
//! add a prefix length to a gateway; two texts are equal if their values are equal.

use std::net::IpAddr;

use ipnet::IpNet;

/// Returns the block in canonical form, or the text itself if it is not a block.
pub fn block(text: &str) -> String {
    text.parse::<IpNet>()
        .map_or_else(|_| text.to_owned(), |net| net.trunc().to_string())
}

/// Returns the address in canonical form, or the text itself if it is not an address. The prefix length that
/// engines 27.0 to 28.0.1 add to IPv6 gateways is removed.
pub fn address(text: &str) -> String {
    let bare = text.split_once('/').map_or(text, |(address, _)| address);
    bare.parse::<IpAddr>()
        .map_or_else(|_| text.to_owned(), |ip| ip.to_string())
}

/// Whether the block is an IPv6 block.
pub fn is_ipv6(block: &str) -> bool {
    block.contains(':')
}

#[cfg(test)]
mod tests {
    use super::{address, block};

    #[test]
    fn host_bits_and_case_do_not_matter() {
        assert_eq!(block("10.1.2.3/24"), "10.1.2.0/24");
        assert_eq!(block("FD00:0020::/64"), "fd00:20::/64");
    }

    #[test]
    fn a_gateway_may_carry_a_prefix_length() {
        assert_eq!(address("FD00::1/64"), "fd00::1");
        assert_eq!(address("10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn text_that_is_not_an_address_is_not_changed() {
        assert_eq!(block("wherever"), "wherever");
        assert_eq!(address("wherever"), "wherever");
    }
}
