//! One start: a slot is chosen, the choice is remembered, and its kernel gets the machine. Whatever comes back from
//! there ends in a reset, never in the firmware's menu or its next entry.

use alloc::format;
use core::fmt::Write as _;
use core::time::Duration;

use loader::environment::{COPIES, COPY_BYTES, Environment};
use loader::kernel::{self, Refusal};
use loader::tries::Slot;
use uefi::boot::{self, LoadImageSource};
use uefi::proto::loaded_image::LoadedImage;
use uefi::runtime::{self, ResetType};
use uefi::{CStr16, CString16, Handle, Status, entry, system};

use crate::disk::Partition;

/// The public half of the boot key, DER; whoever signs this program puts it in.
const KEY: &[u8] = include_bytes!(env!(
    "SIALOSCOPE_BOOT_KEY",
    "the public boot key, a DER file: board/image/steps/loader sets it"
));

/// Says a line where the firmware has its console; without one, nobody hears it.
macro_rules! say {
    ($($words:tt)*) => {
        system::with_stdout(|console| {
            let _ = writeln!(console, $($words)*);
        })
    };
}

/// Why a slot did not start.
#[derive(Debug, thiserror::Error)]
enum NotStarted {
    #[error("its partition cannot be read ({0})")]
    Disk(Status),
    #[error("{0}")]
    Refused(#[from] Refusal),
    #[error("the firmware does not take it ({0}): is our key among those of Secure Boot?")]
    Firmware(Status),
    #[error("it came back ({0})")]
    CameBack(Status),
}

#[entry]
fn main() -> Status {
    if let Err(error) = start() {
        say!("box: its own disk cannot be used ({})", error.status());
    }
    begin_anew()
}

#[panic_handler]
fn panicked(what: &core::panic::PanicInfo) -> ! {
    say!("box: the loader itself is wrong: {what}");
    begin_anew()
}

/// Leaves time to read what was said, and resets: the next start counts again.
fn begin_anew() -> ! {
    boot::stall(Duration::from_secs(3));
    runtime::reset(ResetType::COLD, Status::ABORTED, None)
}

fn start() -> uefi::Result {
    let partition = Partition::find("ubootenv")?;
    // A copy that cannot be read is one that is not whole.
    let [first, second] = COPIES.map(|offset| partition.read(offset, COPY_BYTES).ok());
    let mut environment =
        Environment::read([&first, &second].map(|copy| copy.as_deref().unwrap_or_default()));
    let slot = environment.tries.choose();
    if slot.is_none() {
        environment.tries.begin_again();
    }
    // Before anything is said: a console that hangs has been counted, too.
    remember(&partition, &mut environment);
    let Some(slot) = slot else {
        say!("box: no slot has a try left, all over again");
        return Ok(());
    };
    let [a, b] = environment.tries.left;
    say!("box: slot {slot}, tries left after this one: A {a} B {b}");
    let Err(why) = start_slot(slot);
    say!("box: slot {slot} is refused: {why}");
    environment.tries.refuse(slot);
    remember(&partition, &mut environment);
    Ok(())
}

/// A disk that takes nothing any more costs the count of tries, not the start.
fn remember(partition: &Partition, environment: &mut Environment) {
    let (offset, bytes) = environment.next_copy();
    if let Err(error) = partition.write(offset, &bytes) {
        say!("box: this start is not remembered ({})", error.status());
    }
}

fn start_slot(slot: Slot) -> Result<core::convert::Infallible, NotStarted> {
    let unreadable = |error: uefi::Error| NotStarted::Disk(error.status());
    let root = Partition::find(&format!("root_{slot}")).map_err(unreadable)?;
    let partition = Partition::find(&format!("kernel_{slot}")).map_err(unreadable)?;
    let size = partition.size().map_err(unreadable)?;
    // The whole partition: no length that stands on the disk is believed.
    let size = usize::try_from(size).map_err(|_| NotStarted::Disk(Status::BAD_BUFFER_SIZE))?;
    let bytes = partition.read(0, size).map_err(unreadable)?;
    let kernel = kernel::verified(&bytes, KEY)?;
    let line = kernel.root.command_line(slot, &format!("{}", root.uuid));
    let options = CString16::try_from(line.as_str()).map_err(|_| Refusal::NoRoot)?;

    let refused = |error: uefi::Error| NotStarted::Firmware(error.status());
    let source = LoadImageSource::FromBuffer {
        buffer: kernel.program,
        file_path: None,
    };
    let program = boot::load_image(boot::image_handle(), source).map_err(refused)?;
    tell(program, &options).map_err(refused)?;
    // The kernel has its own copy by now, and its memory is wanted.
    drop(bytes);
    let came_back = boot::start_image(program);
    Err(NotStarted::CameBack(match came_back {
        Ok(()) => Status::SUCCESS,
        Err(error) => error.status(),
    }))
}

/// Gives a loaded program its command line.
#[expect(unsafe_code, reason = "UEFI takes a pointer")]
fn tell(program: Handle, options: &CStr16) -> uefi::Result {
    let mut image = boot::open_protocol_exclusive::<LoadedImage>(program)?;
    let bytes = u32::try_from(options.num_bytes()).map_err(|_| Status::BAD_BUFFER_SIZE)?;
    // SAFETY: the caller keeps the words until the program has come back.
    unsafe { image.set_load_options(options.as_ptr().cast(), bytes) };
    Ok(())
}
