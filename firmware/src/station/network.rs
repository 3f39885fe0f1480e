//! By which addresses others reach this box: what somebody types at the scanner.

use std::net::{IpAddr, SocketAddr};

use models::findings::{Fault, Reason};

/// Where a listener is reached, for people: `10.1.2.3:11112`. One that listens on every address is reached at each of
/// the box; with two networks both are said.
///
/// # Errors
/// `no_address` while the box has none: no cable, or nobody who gives it one.
pub fn reached_at(listener: SocketAddr) -> Result<String, Reason> {
    said(listener, own)
}

/// Addresses of the box that others can use. A network of IPv4 is what scanners speak; IPv6 where there is no other.
fn own() -> std::io::Result<Vec<IpAddr>> {
    let interfaces = if_addrs::get_if_addrs()?;
    let usable = interfaces
        .iter()
        .filter(|one| !one.is_loopback() && !one.is_link_local());
    let (four, six): (Vec<_>, Vec<_>) = usable.map(if_addrs::Interface::ip).partition(IpAddr::is_ipv4);
    Ok(if four.is_empty() { six } else { four })
}

fn said(listener: SocketAddr, own: impl FnOnce() -> std::io::Result<Vec<IpAddr>>) -> Result<String, Reason> {
    if !listener.ip().is_unspecified() {
        return Ok(listener.to_string());
    }
    let none = |text: String| Reason::new("no_address", Fault::Configuration, text);
    let mut own = own().map_err(|error| none(format!("the system does not tell its addresses: {error}")))?;
    // A listener on every address of IPv4 hears nothing of IPv6.
    own.retain(|address| address.is_ipv4() || listener.is_ipv6());
    own.sort_unstable();
    own.dedup();
    let said: Vec<_> = own
        .into_iter()
        .map(|address| SocketAddr::new(address, listener.port()).to_string())
        .collect();
    if said.is_empty() {
        return Err(none("no network interface has an address".to_owned()));
    }
    Ok(said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(listener: &str, own: &[&str]) -> Result<String, Reason> {
        let own = own.iter().map(|address| address.parse().unwrap()).collect();
        said(listener.parse().unwrap(), || Ok(own))
    }

    #[test]
    fn a_listener_on_every_address_is_reached_at_those_of_the_box() {
        assert_eq!(at("0.0.0.0:104", &["10.0.2.15"]).unwrap(), "10.0.2.15:104");
        let both = at("0.0.0.0:104", &["192.168.7.2", "10.0.2.15", "10.0.2.15"]);
        assert_eq!(both.unwrap(), "10.0.2.15:104, 192.168.7.2:104");
        assert_eq!(at("[::]:104", &["2001:db8::7"]).unwrap(), "[2001:db8::7]:104");
    }

    #[test]
    fn a_listener_on_one_address_is_reached_there() {
        assert_eq!(at("127.0.0.1:104", &["10.0.2.15"]).unwrap(), "127.0.0.1:104");
    }

    #[test]
    fn without_an_address_it_is_said_why() {
        for (listener, own) in [("0.0.0.0:104", &[][..]), ("0.0.0.0:104", &["2001:db8::7"])] {
            assert_eq!(at(listener, own).unwrap_err().code, "no_address");
        }
        let failed = said("0.0.0.0:104".parse().unwrap(), || {
            Err(std::io::Error::other("why"))
        });
        assert!(failed.unwrap_err().text.contains("why"));
    }

    #[test]
    fn the_system_tells_addresses_that_are_no_loopback() {
        let own = own().unwrap();
        assert!(own.iter().all(|address| !address.is_loopback()), "{own:?}");
    }
}
