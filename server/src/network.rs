//! Addresses of peers: the networks that an operator names, who a request behind a proxy comes from, and
//! the coarse network that failed sign-ins are counted by.

use std::net::IpAddr;
use std::str::FromStr;

use tidings_messaging::request::PeerNetwork;

/// An IP network, such as `10.0.0.0/8` or `2001:db8::1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix_bits: u32,
}

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoNetwork;

impl Network {
    /// Whether an address lies in the network. IPv4 in IPv6 clothes is IPv4.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - self.prefix_bits;
                shift == 32 || network.to_bits() >> shift == address.to_bits() >> shift
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - self.prefix_bits;
                shift == 128 || network.to_bits() >> shift == address.to_bits() >> shift
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| NoNetwork)?,
            None => bits_max,
        };
        if prefix_bits > bits_max {
            return Err(NoNetwork);
        }
        Ok(Self { address, prefix_bits })
    }
}

/// Who a request comes from: the peer, or behind a named proxy whoever that says, read from the end up
/// to the first address that is no proxy, since what stands before it is the client's own claim.
pub(crate) fn client_address<'a>(
    peer: IpAddr,
    proxies: &[Network],
    forwarded_for: impl DoubleEndedIterator<Item = &'a str>,
) -> IpAddr {
    let is_proxy = |address| proxies.iter().any(|proxy| proxy.contains(address));
    let mut client = peer;
    let mut hops = forwarded_for.flat_map(|line| line.split(',')).collect::<Vec<_>>().into_iter();
    while is_proxy(client)
        && let Some(hop) = hops.next_back()
        && let Ok(address) = hop.trim().parse()
    {
        client = address;
    }
    client
}

/// The network of an address: 24 bits of IPv4, 48 of IPv6.
pub(crate) fn peer_network(address: IpAddr) -> PeerNetwork {
    let mut network = [0; 6];
    match address.to_canonical() {
        // Behind three zeros, where no global IPv6 network lies.
        IpAddr::V4(address) => network[3..].copy_from_slice(&address.octets()[..3]),
        IpAddr::V6(address) => network.copy_from_slice(&address.octets()[..6]),
    }
    PeerNetwork(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        text.parse().unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn network_holds_its_addresses_and_no_others() {
        for (of, inside, outside) in [
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/8", "::ffff:10.9.9.9", "11.0.0.0"),
            ("0.0.0.0/0", "192.0.2.1", "2001:db8::1"),
            ("2001:db8::/32", "2001:db8:9::1", "2001:db9::1"),
            ("::1", "::1", "127.0.0.1"),
        ] {
            assert!(network(of).contains(address(inside)), "{of} {inside}");
            assert!(!network(of).contains(address(outside)), "{of} {outside}");
        }
        for text in ["", "10.0.0.1/33", "10.0.0/8", "x/8", "::1/129", "10.0.0.1/-1"] {
            assert_eq!(text.parse::<Network>(), Err(NoNetwork), "{text}");
        }
    }

    #[test]
    fn forwarded_address_is_believed_from_a_named_proxy_alone() {
        let proxies = [network("10.0.0.0/8")];
        let from =
            |peer, lines: &[&str]| client_address(address(peer), &proxies, lines.iter().copied());
        assert_eq!(from("192.0.2.1", &["203.0.113.9"]), address("192.0.2.1"));
        assert_eq!(from("10.0.0.1", &["203.0.113.9"]), address("203.0.113.9"));
        assert_eq!(from("10.0.0.1", &[]), address("10.0.0.1"));
    }

    #[test]
    fn client_behind_proxies_cannot_claim_another_address() {
        let proxies = [network("10.0.0.0/8")];
        let lines = ["198.51.100.1, 203.0.113.9", "10.0.0.7"];
        let client = client_address(address("10.0.0.1"), &proxies, lines.into_iter());
        assert_eq!(client, address("203.0.113.9"));
        let client = client_address(address("10.0.0.1"), &proxies, ["nonsense"].into_iter());
        assert_eq!(client, address("10.0.0.1"));
    }

    #[test]
    fn peers_of_one_network_count_together() {
        let of = |text| peer_network(address(text));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.200"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ffff::1"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }
}
