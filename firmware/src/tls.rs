//! Bytes of TLS between a connection and its socket, whichever side we are.

use std::io::{self, Read, Write};

use rustls::{ConnectionCommon, IoState, SideData};

/// Takes in what one read of the socket gives, and writes what TLS has to say to it.
pub(crate) fn advance<S: SideData>(
    tls: &mut ConnectionCommon<S>,
    socket: &mut (impl Read + Write),
) -> io::Result<()> {
    flush(tls, socket)?;
    if tls.read_tls(socket)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    process(tls, socket).map(drop)
}

/// Takes in what was read.
pub(crate) fn process<S: SideData>(
    tls: &mut ConnectionCommon<S>,
    socket: &mut impl Write,
) -> io::Result<IoState> {
    let taken = tls.process_new_packets();
    // After an error too: the alert tells the peer why. It may be gone.
    let flushed = flush(tls, socket);
    let state = taken.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    flushed.map(|()| state)
}

/// Writes what TLS has to say.
pub(crate) fn flush<S: SideData>(tls: &mut ConnectionCommon<S>, socket: &mut impl Write) -> io::Result<()> {
    while tls.wants_write() {
        if tls.write_tls(socket)? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    Ok(())
}
