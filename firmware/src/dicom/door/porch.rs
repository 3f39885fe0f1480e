//! What happens before an association: handshake, request, answer. A task each, never a thread.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use dicom_ul::pdu::{AssociationRQ, Pdu};
use models::findings::{Fault, Reason};
use rustls::ServerConnection;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::room::Ticket;
use super::stream::read_once;
use super::{Entrance, Place, Stream, tls};
use crate::dicom::admission::Origin;
use crate::dicom::association::{self, End, Guest};
use crate::dicom::is_ae_title;
use crate::dicom::negotiate::{self, Rejection, answer};
use crate::dicom::scp::Provider;
use crate::dicom::wire::{self, Wire, WireError, encode};
use crate::limits::{STOP_POLL, WAITING_SEAT_BYTES};
use crate::station::refusals::Refusal;
use crate::study::AssociationId;
use crate::tls::{advance, flush};

/// Sees a connection through to its end.
pub(in crate::dicom) async fn visit(
    provider: Arc<Provider>,
    socket: TcpStream,
    peer: SocketAddr,
    entrance: Entrance,
    id: AssociationId,
) {
    let (ticket, leave) = provider.room.enter(peer.ip().to_canonical());
    let mut visitor = Visitor {
        provider: &provider,
        socket,
        tls: None,
        peer,
    };
    let guest = tokio::select! {
        biased;
        _ = leave => return visitor.pushed_out().await,
        guest = visitor.negotiate(entrance, &ticket) => guest,
    };
    drop(ticket);
    let Some((guest, place)) = guest else {
        return;
    };
    let Visitor { socket, tls, .. } = visitor;
    let on_thread = Arc::clone(&provider);
    let served = tokio::task::spawn_blocking(move || {
        let _place = place;
        match socket.into_std().and_then(|socket| Stream::new(socket, tls)) {
            Ok(stream) => {
                let Provider {
                    stopping,
                    services,
                    patience,
                    ..
                } = &*on_thread;
                let wire = Wire::new(stream, stopping, services.pdu_bytes, patience);
                association::serve(&on_thread, wire, guest, peer, id);
            }
            Err(error) => tracing::warn!(%peer, %error, "cannot serve a connection"),
        }
    });
    if served.await.is_err() {
        let reason = Reason::new("internal", Fault::Us, "an association ended by an error of ours");
        provider.intake.refused(Refusal::now(peer, None, reason));
        provider.intake.ended(id, false);
    }
}

/// Somebody who has no association yet.
struct Visitor<'p> {
    provider: &'p Arc<Provider>,
    socket: TcpStream,
    tls: Option<Box<ServerConnection>>,
    peer: SocketAddr,
}

impl Visitor<'_> {
    /// From the connection to a place for an association. None when there will be none; the peer and
    /// people have been told.
    async fn negotiate(&mut self, entrance: Entrance, ticket: &Ticket) -> Option<(Guest, Place)> {
        match self.try_negotiate(entrance, ticket).await {
            Ok(guest) => guest,
            Err(end) => {
                // Before the handshake is over, whoever speaks TLS understands no PDU.
                let speaks_dicom = entrance == Entrance::Plain || self.tls.is_some();
                let abort = end.abort().filter(|_| speaks_dicom);
                self.part_with(abort.as_ref()).await;
                if let Some(refusal) = end.refusal(self.peer, None) {
                    self.complain(refusal).await;
                }
                None
            }
        }
    }

    async fn try_negotiate(
        &mut self,
        entrance: Entrance,
        ticket: &Ticket,
    ) -> Result<Option<(Guest, Place)>, End> {
        wire::prepare(&self.socket).map_err(WireError::Io)?;
        let patience = self.provider.patience;
        if entrance == Entrance::Tls {
            timeout(patience.handshake, self.handshake())
                .await
                .map_err(|_| WireError::Silent(patience.handshake))??;
        }
        let request = self.request(ticket, patience.artim).await?;
        let origin = Origin {
            address: self.peer.ip().to_canonical(),
            certificate: self.tls.as_deref().and_then(tls::shown_by),
        };
        match self.judge(&request, &origin) {
            Ok(guest) => Ok(Some(guest)),
            Err(Rejection { code, text, pdu }) => {
                let calling = &request.calling_ae_title;
                let title = is_ae_title(calling).then_some(calling.as_str());
                let reason = Reason::new(code, Fault::Peer, format!("association rejected: {text}"));
                self.part_with(Some(&Pdu::AssociationRJ(pdu))).await;
                self.complain(Refusal::now(self.peer, title, reason)).await;
                Ok(None)
            }
        }
    }

    fn judge(&self, request: &AssociationRQ, origin: &Origin) -> Result<(Guest, Place), Rejection> {
        let provider = self.provider;
        let (accept, agreed) = answer(request, origin, &provider.admission, &provider.services)?;
        let place = provider
            .places
            .take(origin.address)
            .map_err(|full| negotiate::busy(full.code(), &full.to_string()))?;
        if request.called_ae_title != provider.admission.ae_title {
            tracing::warn!(peer = %self.peer, calling = request.calling_ae_title, "the peer calls us by another AE title");
        }
        let guest = Guest {
            accept,
            agreed,
            calling: request.calling_ae_title.clone(),
        };
        Ok((guest, place))
    }

    /// The handshake of TLS, once it is clear that the peer means one.
    async fn handshake(&mut self) -> Result<(), WireError> {
        let mut first = [0];
        match self.socket.peek(&mut first).await.map_err(WireError::Io)? {
            0 => return Err(WireError::Closed),
            _ => wire::expect_tls(first[0])?,
        }
        let tls = self.provider.tls.as_ref().and_then(super::Tls::accept);
        let mut tls = Box::new(tls.ok_or(WireError::NoAuthority)?);
        while tls.is_handshaking() || tls.wants_write() {
            let (mut socket, handshaking) = (Socket(&self.socket), tls.is_handshaking());
            let moved = if handshaking {
                advance(&mut tls, &mut socket)
            } else {
                flush(&mut tls, &mut socket)
            };
            match moved {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    wait(&self.socket, &tls).await.map_err(WireError::Io)?;
                }
                other => other?,
            }
        }
        self.tls = Some(tls);
        Ok(())
    }

    /// The association request. It takes memory only as its bytes come.
    async fn request(&mut self, ticket: &Ticket, artim: Duration) -> Result<AssociationRQ, End> {
        let deadline = tokio::time::Instant::now() + artim;
        let mut request = Vec::new();
        let pdu_bytes = self.provider.services.pdu_bytes;
        let whole = tokio::time::timeout_at(deadline, async {
            self.fill(&mut request, 6, ticket).await?;
            let header = request.first_chunk().copied().ok_or(WireError::Closed)?;
            let length = wire::judge(header, pdu_bytes)?;
            self.fill(&mut request, 6 + length as usize, ticket).await
        });
        match whole.await {
            Err(_) if request.is_empty() => return Err(WireError::Silent(artim).into()),
            Err(_) => return Err(WireError::Dripping(artim).into()),
            Ok(done) => done?,
        }
        match wire::decode(&request)? {
            Pdu::AssociationRQ(request) => Ok(request),
            Pdu::AbortRQ { .. } => Err(End::AbortedByPeer),
            _ => Err(End::Violation("something else than an association request first")),
        }
    }

    async fn fill(&mut self, into: &mut Vec<u8>, length: usize, ticket: &Ticket) -> Result<(), WireError> {
        let mut chunk = [0; 2048];
        while into.len() < length {
            let wanted = chunk.len().min(length - into.len());
            match self.read(&mut chunk[..wanted]).await? {
                0 => return Err(WireError::Closed),
                count => into.extend_from_slice(&chunk[..count]),
            }
            ticket.take_seats(into.len().div_ceil(WAITING_SEAT_BYTES));
        }
        Ok(())
    }

    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, WireError> {
        loop {
            let tried = match &mut self.tls {
                None => self.socket.try_read(bytes),
                Some(tls) => read_once(tls, &mut Socket(&self.socket), bytes),
            };
            match tried {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return Ok(other?),
            }
            let ready = match &self.tls {
                None => self.socket.readable().await,
                Some(tls) => wait(&self.socket, tls).await,
            };
            ready.map_err(WireError::Io)?;
        }
    }

    /// Says a last word, if there is one, and ends the connection so that the peer still hears it.
    async fn part_with(&mut self, word: Option<&Pdu>) {
        if let Some(word) = word {
            // The peer may be gone.
            let _ = timeout(STOP_POLL, self.say(word)).await;
        }
        let _ = socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write);
        // Unread bytes would turn the close into a reset that overtakes the last PDU.
        let mut rest = [0; 1024];
        let _ = timeout(2 * STOP_POLL, async {
            while self.socket.readable().await.is_ok() {
                match self.socket.try_read(&mut rest) {
                    Ok(0) => break,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => break,
                    _ => {}
                }
            }
        })
        .await;
    }

    async fn say(&mut self, word: &Pdu) -> io::Result<()> {
        let word = encode(word).map_err(|_| io::ErrorKind::InvalidInput)?;
        let Some(tls) = &mut self.tls else {
            let mut rest = word.as_slice();
            while !rest.is_empty() {
                self.socket.writable().await?;
                match self.socket.try_write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
            return Ok(());
        };
        tls.writer().write_all(&word)?;
        tls.send_close_notify();
        while tls.wants_write() {
            match flush(tls, &mut Socket(&self.socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.socket.writable().await?,
                other => other?,
            }
        }
        Ok(())
    }

    /// There was no seat left, or the appliance stops.
    async fn pushed_out(self) {
        if self.provider.stopping.load(Ordering::Relaxed) {
            return;
        }
        let reason = Reason::new(
            "crowded_out",
            Fault::Peer,
            "hung up on a connection that asked for no association: there were too many of them",
        );
        self.complain(Refusal::now(self.peer, None, reason)).await;
    }

    /// Tells people, in moderation.
    async fn complain(&self, mut refusal: Refusal) {
        let address = self.peer.ip().to_canonical();
        let Some(kept_back) = self.provider.complaints.tell(address, Instant::now()) else {
            return tracing::debug!(peer = %self.peer, code = refusal.reason.code, "not told: {}", refusal.reason);
        };
        if kept_back > 0 {
            let text = format!(
                "{} ({kept_back} more from there were not told)",
                refusal.reason.text
            );
            refusal.reason.text = text;
        }
        tracing::warn!(peer = %self.peer, code = refusal.reason.code, "turned away: {}", refusal.reason);
        // The inbox of the keeper may be full, and no task may block on it.
        let provider = Arc::clone(self.provider);
        let told = tokio::task::spawn_blocking(move || provider.intake.refused(refusal));
        let _ = told.await;
    }
}

/// Until TLS can go on.
async fn wait(socket: &TcpStream, tls: &ServerConnection) -> io::Result<()> {
    let interest = if tls.wants_write() {
        Interest::READABLE | Interest::WRITABLE
    } else {
        Interest::READABLE
    };
    socket.ready(interest).await.map(drop)
}

/// A socket that says `WouldBlock`, for TLS.
struct Socket<'s>(&'s TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
