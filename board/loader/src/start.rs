//! One start: a slot is chosen, the choice is remembered, and its kernel gets the machine. Whatever comes back from
//! there ends in a reset, never in the firmware's menu or its next entry.

use alloc::format;
use core::time::Duration;

use loader::environment::{COPIES, COPY_BYTES, Environment};
use loader::kernel::{self, Refusal};
use loader::tries::Slot;
use uefi::boot::{self, LoadImageSource};
use uefi::proto::loaded_image::LoadedImage;
use uefi::runtime::{self, ResetType};
use uefi::{CStr16, CString16, Handle, Status, entry, println};

use crate::disk::Partition;

/// The public half of the boot key, DER; whoever signs this program puts it in.
const KEY: &[u8] = include_bytes!(env!(
    "SIALOSCOPE_BOOT_KEY",
    "the public boot key, a DER file: board/image/steps/loader sets it"
));

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
    if let Err(error) = uefi::helpers::init() {
        return error.status();
    }
    if let Err(error) = start() {
        println!("box: its own disk cannot be used ({})", error.status());
    }
    begin_anew()
}

#[panic_handler]
fn panicked(what: &core::panic::PanicInfo) -> ! {
    println!("box: the loader itself is wrong: {what}");
    begin_anew()
}

/// Leaves time to read what was said, and resets: the next start counts again.
fn begin_anew() -> ! {
    boot::stall(Duration::from_secs(3));
    runtime::reset(ResetType::COLD, Status::ABORTED, None)
}

fn start() -> uefi::Result {
    let partition = Partition::find("ubootenv")?;
    let copies = COPIES.map(|offset| partition.read(offset, Some(COPY_BYTES)).unwrap_or_default());
    let mut environment = Environment::read([&copies[0], &copies[1]]);
    let slot = environment.tries.choose();
    if slot.is_none() {
        println!("box: no slot has a try left, all over again");
        environment.tries.begin_again();
    }
    remember(&partition, &mut environment);
    let Some(slot) = slot else { return Ok(()) };
    let [a, b] = environment.tries.left;
    println!("box: slot {slot}, tries left after this one: A {a} B {b}");
    let Err(why) = start_slot(slot);
    println!("box: slot {slot} is refused: {why}");
    environment.tries.refuse(slot);
    remember(&partition, &mut environment);
    Ok(())
}

/// A disk that takes nothing any more costs the count of tries, not the start.
fn remember(partition: &Partition, environment: &mut Environment) {
    let (offset, bytes) = environment.next_copy();
    if let Err(error) = partition.write(offset, &bytes) {
        println!("box: this start is not remembered ({})", error.status());
    }
}

fn start_slot(slot: Slot) -> Result<core::convert::Infallible, NotStarted> {
    let unreadable = |error: uefi::Error| NotStarted::Disk(error.status());
    let root = Partition::find(&format!("root_{slot}")).map_err(unreadable)?;
    let bytes = Partition::find(&format!("kernel_{slot}"))
        .and_then(|partition| partition.read(0, None))
        .map_err(unreadable)?;
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
